"""The centre: verifies, stores, detects, receipts.

Law: a receipt is sent after the commit, never before.
"""
