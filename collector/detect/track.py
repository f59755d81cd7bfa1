"""The fixes of a tick as numpy columns (DETECTION section 1).

Law: reads the same bytes as wire.columns, and agrees with it.
"""
