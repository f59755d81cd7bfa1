"""The body of a batch: fixes as columns of integers, events as rows (WIRE section 5).

Law: plain Python; no value is rounded here, and nothing that was absent comes back as a number.
"""
