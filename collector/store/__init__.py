"""Batches, heads, detector state, alerts: one interface over SQLite and, later, PostgreSQL.

Law: a tick is one transaction, and the fence on each unit's head is part of it.
"""
