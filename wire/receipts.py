"""The collector's word that batches are committed (WIRE section 13, R1).

Law: a unit deletes for nothing else.
"""
