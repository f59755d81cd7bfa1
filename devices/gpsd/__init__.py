"""gpsd's JSON lines as a receiver (DEVICES section 6).

Law: takes only what the receiver said, never what gpsd computed (alt, altHAE, eph, ep*). A line is looked at before it is parsed: what
cannot be a small flat object is refused, so that no line makes our memory grow.

`lines` says what one line means, `sky` what is known of the satellites, `reader` joins lines into epochs.
"""

from devices.gpsd.reader import WATCH, GpsdReader

__all__ = ["WATCH", "GpsdReader"]
