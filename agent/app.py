"""The unit's loops, in one TaskGroup: ports, writer, uplink, signals (EDGE section 1)."""
