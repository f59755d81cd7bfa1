"""Batches that no receipt covers yet, in SQLite (EDGE section 4).

Law: number, link, signature and storage of a batch are one transaction.
"""
