"""The operator's command line.

Exits of every command: 0 ok, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 unreachable, 6 the thing checked is bad.
"""
