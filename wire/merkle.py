"""Inclusion and consistency proofs of the public log (RFC 6962, 2.1).

Law: knows hashes only; no key, no leaf, no file. Not built yet: EVIDENCE.md is its paper.
"""
