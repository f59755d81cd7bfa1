"""Locks that speak JT/T 808: HHD padlocks (0200) and the Jointech messages 5501 and 5502 (DEVICES section 4.4).

Law: a frame whose XOR does not fit is refused, captured or not. What no page publishes stays raw; a password that a frame carries
leaves this room as stars.

`frame` holds the words, `message` says what one frame means, `events` and `tlvs` its smaller parts, `framing` cuts bytes into
frames, `facts` turns frames into facts, `reader` joins them. No order to these locks is published, so there is none here.
"""

from devices.jt808.framing import Framer
from devices.jt808.reader import UTC_OFFSET_MIN, Jt808Reader

__all__ = ["UTC_OFFSET_MIN", "Framer", "Jt808Reader"]
