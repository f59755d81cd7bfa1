"""The lines of the public log: one leaf, one line, one spelling.

Law: a leaf names evidence, it never holds it. Not built yet: EVIDENCE.md is its paper.
"""
