"""MQTT 3.1.1 as a relay sees it: whole packets, and what they are. Understands as much as faults and counts need.

Law: bytes in, packets out; any cutting of the bytes gives the same packets, and their bytes together are what came.
"""

from dataclasses import dataclass
from enum import IntEnum

PACKET_BYTES_MAX = 1 << 20  # nothing of ours comes near; what claims more is passed on as it comes


class Kind(IntEnum):
    """Control packets (MQTT 3.1.1, 2.2.1)."""

    RAW = 0  # not MQTT, or a part of something too long
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    OTHER = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One control packet with its bytes."""

    kind: Kind
    data: bytes
    topic: str = ""  # PUBLISH
    message_id: int = 0  # PUBLISH with QoS 1 or 2, PUBACK
    payload: bytes = b""  # PUBLISH


class Splitter:
    """The packets of one direction of one connection."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._raw = False

    def feed(self, data: bytes) -> list[Packet]:
        """Whole packets so far."""
        self._waiting += data
        packets = []
        while self._waiting:
            size = None if self._raw else _size(self._waiting)
            if self._raw or size == 0:
                self._raw = True
                packets.append(Packet(kind=Kind.RAW, data=bytes(self._waiting)))
                self._waiting.clear()
            elif size is None or size > len(self._waiting):
                break
            else:
                packets.append(packet_of(bytes(self._waiting[:size])))
                del self._waiting[:size]
        return packets


def packet_of(data: bytes) -> Packet:
    """What one whole packet is; RAW if its parts do not fit."""
    number = data[0] >> 4
    kind = Kind(number) if number in set(Kind) and number else Kind.OTHER
    body = data[2:] if data[1] < 0x80 else data[1 + _length_bytes(data) :]
    if kind is Kind.PUBACK and len(body) >= 2:
        return Packet(kind=kind, data=data, message_id=int.from_bytes(body[:2], "big"))
    if kind is not Kind.PUBLISH or len(body) < 2:
        return Packet(kind=kind, data=data)
    end = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:end].decode(errors="replace")
    has_id = bool(data[0] & 0b110)
    message_id = int.from_bytes(body[end : end + 2], "big") if has_id else 0
    payload = body[end + 2 * has_id :]
    return Packet(kind=kind, data=data, topic=topic, message_id=message_id, payload=payload)


def _length_bytes(data: bytes) -> int:
    return next((n for n in range(1, 5) if len(data) > n and data[n] < 0x80), 4)


def _size(data: bytearray) -> int | None:
    """Of the first packet, with its header; None: not known yet; 0: this is no MQTT that we would split."""
    length = 0
    for at in range(1, 5):
        if len(data) <= at:
            return None
        length |= (data[at] & 0x7F) << 7 * (at - 1)
        if data[at] < 0x80:
            size = 1 + at + length
            return size if size <= PACKET_BYTES_MAX else 0
    return 0
