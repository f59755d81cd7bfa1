"""gpsd's JSON lines as a receiver (DEVICES section 6).

Law: takes only what the receiver said, never what gpsd computed. Not built yet.
"""
