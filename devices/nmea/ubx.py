"""The two UBX messages that are read where they lie between sentences (DEVICES section 3.8), and nothing else of UBX.

NMEA has no word for jamming or spoofing. Layouts: u-blox F9 HPG interface description, UBX-MON-RF and UBX-NAV-STATUS.
"""

from dataclasses import dataclass

__all__ = ["HEAD_BYTES", "MON_RF", "NAV_STATUS", "SYNC", "RadioHealth", "read_radio", "read_spoof"]

SYNC = b"\xb5\x62"
HEAD_BYTES = 6  # sync, class, id, length
MON_RF = b"\x0a\x38"
NAV_STATUS = b"\x01\x03"

_BLOCK_BYTES = 24
_BLOCKS_MAX = 8  # a receiver has one or two antenna inputs; u-blox sends one block for each
_NAV_STATUS_BYTES = 16
_AGC_FULL = 8_191
_ANTENNAS = {1: "DONTKNOW", 2: "OK", 3: "SHORT", 4: "OPEN"}  # 0: still starting
_ANTENNA_BADNESS = ("OK", "DONTKNOW", "OPEN", "SHORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioHealth:
    """The worst of the receiver's radio blocks."""

    antenna: str | None
    jam_state: int
    jam_level: int
    agc_permille: int | None


def frame_size(head: bytes) -> int | None:
    """Bytes of the frame that `head` begins; None if it is none of ours.

    While `head` is too short to say, the answer is the bytes needed to say it.
    """
    for class_id, payload_is_ours in ((MON_RF, _is_mon_rf_length), (NAV_STATUS, _is_nav_status)):
        if not (SYNC + class_id).startswith(head[:4]):
            continue
        if len(head) < HEAD_BYTES:
            return HEAD_BYTES
        length = int.from_bytes(head[4:6], "little")
        return length + 8 if payload_is_ours(length) else None
    return None


def checksum_holds(frame: bytes) -> bool:
    """The 8-bit Fletcher sum over class, id, length and payload (UBX protocol)."""
    first = second = 0
    for byte in frame[2:-2]:
        first = (first + byte) & 0xFF
        second = (second + first) & 0xFF
    return frame[-2:] == bytes((first, second))


def split(frame: bytes) -> tuple[bytes, bytes]:
    """Class with id, and the payload."""
    return frame[2:4], frame[6:-2]


def read_radio(payload: bytes) -> RadioHealth | None:
    """MON-RF; None if its block is not the one of 24 bytes."""
    if len(payload) != 4 + _BLOCK_BYTES * payload[1]:
        return None
    blocks = [payload[at : at + _BLOCK_BYTES] for at in range(4, len(payload), _BLOCK_BYTES)]
    worst = max(blocks, key=lambda block: (block[1] & 3, block[16]))
    antennas = [name for block in blocks if (name := _ANTENNAS.get(block[2])) is not None]
    agc = int.from_bytes(worst[14:16], "little")
    return RadioHealth(
        antenna=max(antennas, key=_ANTENNA_BADNESS.index, default=None),
        jam_state=worst[1] & 3,
        jam_level=worst[16],
        agc_permille=(agc * 1000 + _AGC_FULL // 2) // _AGC_FULL if agc <= _AGC_FULL else None,
    )


def read_spoof(payload: bytes) -> int:
    """NAV-STATUS, flags2 bits 3 and 4: 0 unknown, 1 none, 2 indicated, 3 several."""
    return payload[7] >> 3 & 3


def _is_mon_rf_length(length: int) -> bool:
    blocks, rest = divmod(length - 4, _BLOCK_BYTES)
    return rest == 0 and 1 <= blocks <= _BLOCKS_MAX


def _is_nav_status(length: int) -> bool:
    return length == _NAV_STATUS_BYTES
