"""Customs: declarations, movements, seals in law, the processing regime.

Law: pure; findings and officers move a life, nothing else does. Not built yet: CUSTOMS.md is its paper.
"""
