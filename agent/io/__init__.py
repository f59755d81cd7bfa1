"""Where the unit touches the world: ports, broker, clock, disk, key.

Law: no decision is made here.
"""
