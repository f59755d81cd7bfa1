"""The transparency log: nobody can alter, drop or back-date evidence unnoticed.

Law: its parts share only the tiles. Not built yet: EVIDENCE.md is its paper.
"""
