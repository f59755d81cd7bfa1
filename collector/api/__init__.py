"""HTTP: the only place that knows JSON.

Law: read only and loopback only until accounts exist.
"""
