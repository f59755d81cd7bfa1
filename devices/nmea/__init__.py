"""GPS receivers that speak NMEA 0183: sentences in, epochs out (DEVICES section 3).

Law: a place is reported when a sentence claims it, no sentence of the same instant denies it, and its checksum was there and right.
Nothing here remembers which sentence comes last, opens a port or writes to a receiver.

`frames` cuts bytes into checked sentences, `sentences` says what one of them says (pynmea2 behind our own checks), `epochs` joins
those of one instant, `dates` knows rollover and midnight, `sky` and `ubx` watch satellites and health, `baud` finds the rate.
"""

from devices.nmea.baud import BaudHunt, Rate
from devices.nmea.reader import NmeaReader

__all__ = ["BaudHunt", "NmeaReader", "Rate"]
