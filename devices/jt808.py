"""Locks that speak JT/T 808 (DEVICES section 4.4).

Law: a frame whose XOR does not fit is refused, captured or not. Not built yet.
"""
