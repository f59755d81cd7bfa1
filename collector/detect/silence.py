"""Silence and deadlines, on ticks (DETECTION section 7.6).

Law: a tick proves that nothing was heard; it never proves a place. Not built yet.
"""
