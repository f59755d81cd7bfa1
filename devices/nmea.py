"""GPS receivers that speak NMEA 0183: sentences in, epochs out (DEVICES section 3)."""
