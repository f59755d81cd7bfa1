"""COSE_Sign1 in one fixed layout, read by slicing (WIRE section 2).

Law: no CBOR parser touches foreign bytes.
"""
