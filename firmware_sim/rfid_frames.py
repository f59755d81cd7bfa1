"""Frames of an M100 module (DEVICES section 5), from the vendor's manual: what it says, and how it hears. Knows no tag's place and no time.

Law: a frame is cut by its length, never by the bytes BB and 7E, which occur inside as well; one with a wrong sum is not heard.
"""

from dataclasses import dataclass

__all__ = ["COMMAND_BYTES_MAX", "Command", "CommandEar", "answer", "notice", "refusal", "told_of"]

HEAD, END = 0xBB, 0x7E
COMMAND, ANSWER, NOTICE = 0, 1, 2
FRAME_BYTES = 7  # head, type, command, length (2), sum, end
PARAMETER_BYTES_MAX = 64  # the longest command of the manual, a write with its mask, has fewer
COMMAND_BYTES_MAX = FRAME_BYTES + PARAMETER_BYTES_MAX
TAG_READ, REFUSED = 0x22, 0xFF
WORD_BYTES = 2
RSSI_MIN, RSSI_MAX = -128, 127  # one signed byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the unit asks of the module."""

    code: int
    parameters: bytes


def answer(code: int, parameters: bytes) -> bytes:
    return _frame(ANSWER, code, parameters)


def refusal(error: int) -> bytes:
    """The answer FF; error 15 (no tag in this round) is one, too."""
    return _frame(ANSWER, REFUSED, bytes([error]))


def told_of(epc: bytes) -> bytes:
    """What a tag answers: PC, EPC, and its own CRC over both."""
    assert len(epc) % WORD_BYTES == 0
    words = len(epc) // WORD_BYTES
    told = (words << 11).to_bytes(2, "big") + epc  # PC: the upper five bits count the EPC's words
    return told + _tag_crc(told).to_bytes(2, "big")


def notice(told: bytes, rssi_dbm: int) -> bytes:
    """One tag read: RSSI, and what the tag told."""
    rssi = min(max(rssi_dbm, RSSI_MIN), RSSI_MAX) & 0xFF
    return _frame(NOTICE, TAG_READ, bytes([rssi]) + told)


class CommandEar:
    """Cuts what the unit writes into commands; any cutting gives the same."""

    def __init__(self) -> None:
        self._held = bytearray()

    def hear(self, data: bytes) -> None:
        self._held += data

    def forget(self) -> None:
        """Power was lost, and what was half heard with it."""
        self._held.clear()

    def swallow(self) -> bool:
        """Lose the first byte heard; False if there is none."""
        if not self._held:
            return False
        del self._held[:1]
        return True

    def next(self) -> Command | None:
        """The next whole command; None until more is heard."""
        while (begin := self._held.find(HEAD)) >= 0:
            del self._held[:begin]
            if len(self._held) < FRAME_BYTES:
                return None
            size = FRAME_BYTES + int.from_bytes(self._held[3:5], "big")
            if size <= COMMAND_BYTES_MAX and len(self._held) < size:
                return None
            frame = bytes(self._held[:size])
            if size <= COMMAND_BYTES_MAX and _is_sound(frame):
                del self._held[:size]
                return Command(code=frame[2], parameters=frame[5:-2])
            del self._held[:1]  # a good one may begin inside a broken one
        self._held.clear()
        return None


def _frame(kind: int, code: int, parameters: bytes) -> bytes:
    body = bytes([kind, code]) + len(parameters).to_bytes(2, "big") + parameters
    return bytes([HEAD]) + body + bytes([sum(body) & 0xFF, END])


def _is_sound(frame: bytes) -> bool:
    return frame[1] == COMMAND and frame[-1] == END and frame[-2] == sum(frame[1:-2]) & 0xFF


def _tag_crc(data: bytes) -> int:
    """The air interface's: CRC-16 of polynomial 1021, beginning with FFFF, inverted (EPC Gen2, annex F)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc ^ 0xFFFF
