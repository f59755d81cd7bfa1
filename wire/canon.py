"""One spelling per value: the subset of MessagePack that WIRE section 3 allows.

Law: decode(encode(x)) == x, and bytes that would be encoded in another way are refused.
"""
