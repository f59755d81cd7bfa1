"""Text frames: `(id,WORD,...)` (DEVICES section 4.2).

Source: vendor manual "JT701D Protocol Manual" V1.4; P45 is counted from the left, later firmware appends.
"""

import re

from devices import SAMPLE_BYTES_MAX, PositionSource
from devices.jt701.binary import HEAD_BYTES, read_course, read_head, read_time
from devices.jt701.frame import Access, Answer, Frame, Head, Kind, Peripheral, Reason, Source

TEXT_BYTES_MAX = 512  # with both brackets; DEVICES section 1
ID_DIGITS = 10

_ANSWER = re.compile(r"P\d\d")
_TRACKER_WORD = re.compile(r"[UW]\d\d")
_WORD = re.compile(rb"@JT|[A-Z][A-Z0-9]{1,7}")
_P45_FIELDS_MIN = 15  # without the mileage: firmware before V1.4 stops at the serial
_DEGREES = re.compile(r"(\d{1,3})(?:\.(\d{1,9}))?")
_NUMBER = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?")
_NO_CARD = frozenset({"", "0000000000"})
_BY_PASSWORD = frozenset({Source.STATIC_PASSWORD, Source.DYNAMIC_PASSWORD, Source.BLUETOOTH})
_BY_FENCE = frozenset({Source.CARD, Source.DYNAMIC_PASSWORD})
_NO_FENCE_TIED = 98
_OUTSIDE_FENCE = 99
_FENCES_MAX = 10
_ESCAPES = ((b"=\x15", b"("), (b"=\x14", b")"), (b"=\x11", b","), (b"=\x00", b"="))  # `=` last
_SENSOR_BYTES_MIN = HEAD_BYTES + 6 + 5 + 1 + 2 + 1 + 1 + 1  # to the type
_THERMOMETER = 1
_THERMOMETER_BYTES = 3  # sign nibble and u12, humidity; the rest is spare
_TELLS_PASSWORD = {
    "P44": frozenset[str](),
    "P52": frozenset({"1", "3"}),
}  # but for these first values
_SAY_YES_OR_NO = frozenset({"P22", "P43", "P44"})
_HOLDS_NO_SECRET = frozenset({b"P45", b"WLNET", b"@JT", b"P22", b"P41", b"P59"})
_SECRET_WORD = re.compile(rb"P(?:43|44|52)")  # two frames run together
_WORD_BYTES_MAX = 5  # WLNET


def decode(frame: bytes) -> Frame | Reason:
    """What a text frame says, both brackets included."""
    fields = frame[1:-1].split(b",")
    if len(fields[0]) != ID_DIGITS or not fields[0].isdigit() or len(fields) < 2:
        return Reason.MALFORMED
    seal_id = fields[0].decode("ascii")
    rest = fields[1:]
    serial = None
    if len(rest) > 2 and rest[0].isdigit() and rest[1].isdigit():  # (id,1,serial,WLNET,...)
        serial, rest = _small(rest[1].decode("ascii")), rest[2:]
    elif len(rest) > 1 and rest[0].isdigit():  # (id,2,U09,...): a tracker's number, and no serial
        rest = rest[1:]
    if not _WORD.fullmatch(rest[0]):
        return Reason.MALFORMED
    if rest[0] == b"WLNET":
        return _wlnet(frame, seal_id, serial, rest)
    try:
        words = [field.decode("ascii") for field in rest]
    except UnicodeDecodeError:
        return Reason.MALFORMED
    return _words(frame, seal_id, words[0], tuple(words[1:]))


def sample(refused: bytes) -> bytes:
    """What of a refused text may be shown: words that can carry a password end the sample."""
    parts = refused.split(b",", 2)
    if len(parts) == 3 and parts[1] in _HOLDS_NO_SECRET:
        secret = _SECRET_WORD.search(refused)
        return refused[: secret.end() if secret else SAMPLE_BYTES_MAX][:SAMPLE_BYTES_MAX]
    return b",".join((parts[0][: ID_DIGITS + 1], *(part[:_WORD_BYTES_MAX] for part in parts[1:2])))


def _words(frame: bytes, seal_id: str, word: str, values: tuple[str, ...]) -> Frame | Reason:
    match word, values:
        case "@JT", ():
            return Frame(raw=frame, kind=Kind.HEARTBEAT, seal_id=seal_id, word=word)
        case "P22", ("2",):
            return Frame(raw=frame, kind=Kind.TIME_REQUEST, seal_id=seal_id, word=word)
        case "P52", ("2", *_):
            return _password(frame, seal_id, values)
        case "P45", _:
            return _p45(frame, seal_id, values)
        case _:
            pass
    if _ANSWER.fullmatch(word):
        answer = _answer(word, values)
        return Frame(raw=frame, kind=Kind.REPLY, seal_id=seal_id, word=word, answer=answer)
    if _TRACKER_WORD.fullmatch(word):
        return Frame(raw=frame, kind=Kind.TRACKER, seal_id=seal_id, model="JT600", word=word)
    return Frame(raw=frame, kind=Kind.OTHER, seal_id=seal_id, word=word)


def _answer(word: str, values: tuple[str, ...]) -> Answer:
    harmless = _TELLS_PASSWORD.get(word)
    is_secret = harmless is not None and not (values and values[0] in harmless)
    verdict = values[1:] if (word, *values[:1]) == ("P52", "3") else values
    ok: bool | None = True  # most answers say the settings again: the order was heard
    if verdict is not values or word in _SAY_YES_OR_NO:
        ok = {"1": True, "0": False}.get(verdict[0]) if verdict else None
    counts_wrong = verdict is not values or word == "P43"
    return Answer(
        command=word,
        values=None if is_secret else values,
        ok=ok,
        wrong_passwords=_small(verdict[1]) if counts_wrong and len(verdict) > 1 else None,
    )


def _password(frame: bytes, seal_id: str, values: tuple[str, ...]) -> Frame | Reason:
    if len(values) != 2 or not values[1]:
        return Reason.MALFORMED
    secret = values[1].encode("ascii")
    ack = b"(P52,2,%b)" % secret
    return Frame(raw=frame, kind=Kind.PASSWORD, seal_id=seal_id, word="P52", secret=secret, ack=ack)


def _p45(frame: bytes, seal_id: str, values: tuple[str, ...]) -> Frame | Reason:
    if len(values) < _P45_FIELDS_MIN:
        return Reason.MALFORMED
    head = _p45_head(values)
    serial = _small(values[14])
    access = _access(values)
    if head is None or serial is None or access is None:
        return Reason.MALFORMED
    return Frame(
        raw=frame,
        kind=Kind.EVENT,
        seal_id=seal_id,
        word="P45",
        serial=serial,
        heads=(head,),
        access=access,
        ack=b"(P69,0,%d)" % serial,
    )


def _p45_head(values: tuple[str, ...]) -> Head | None:
    date, time, lat, north, lon, east, valid, speed, course = values[:9]
    lat_e7, lon_e7 = _degrees_e7(lat, 90), _degrees_e7(lon, 180)
    speed_m_h, course_m = _thousandths(speed), _thousandths(course)
    if not (len(date) == len(time) == 6 and (date + time).isdecimal()):
        return None
    if lat_e7 is None or lon_e7 is None or speed_m_h is None or course_m is None:
        return None
    if north not in {"N", "S"} or east not in {"E", "W"} or valid not in {"A", "V"}:
        return None
    time_ms, time_ok = read_time(date + time)
    has_place = valid == "A" and (lat_e7, lon_e7) != (0, 0)
    return Head(
        time_ms=time_ms,
        time_ok=time_ok,
        lat_e7=lat_e7 if north == "N" else -lat_e7,
        lon_e7=lon_e7 if east == "E" else -lon_e7,
        source=PositionSource.GNSS if has_place else None,
        speed_m_h=speed_m_h,
        course_deg=read_course(course_m // 1_000),
    )


def _access(values: tuple[str, ...]) -> Access | None:
    numbers = [_small(values[i]) for i in (9, 10, 12, 13)]
    card = values[11]
    if card and not card.isalnum():
        return None
    source_raw, verification, password_ok, wrong = numbers
    if source_raw is None or verification is None or password_ok is None or wrong is None:
        return None
    source = Source(source_raw) if 1 <= source_raw <= len(Source) else None
    opened, authorised = _verdict(source, verification)
    by_fence, by_password = source in _BY_FENCE, source in _BY_PASSWORD
    return Access(
        source=source,
        source_raw=source_raw,
        verification=verification,
        opened=opened,
        authorised=authorised,
        locked=_locked(source, opened=opened),
        fence_id=verification if by_fence and 1 <= verification <= _FENCES_MAX else None,
        refused_outside_fence=by_fence and verification == _OUTSIDE_FENCE,
        card=card if card not in _NO_CARD else None,
        password_ok=password_ok == 1 if by_password else None,
        wrong_passwords=wrong if by_password else None,
        mileage_km=_small(values[15]) if len(values) > 15 else None,
    )


def _verdict(source: Source | None, verification: int) -> tuple[bool | None, bool | None]:
    """(opened, authorised) as DEVICES section 4.2 tables them; a pair that it does not name says nothing."""
    if source is Source.ILLEGAL_CARD:
        return False, False
    if source in _BY_FENCE:
        if 1 <= verification <= _FENCES_MAX or verification == _NO_FENCE_TIED:
            return True, True
        return {_OUTSIDE_FENCE: (False, True), 0: (False, False)}.get(verification, (None, None))
    if source in _BY_PASSWORD:
        return {1: (True, True), 0: (False, False)}.get(verification, (None, None))
    return None, None


def _locked(source: Source | None, *, opened: bool | None) -> bool | None:
    """What the event proves about the lock: a refusal proves nothing."""
    if source is Source.AUTO_LOCK:
        return True
    return False if opened else None


def _wlnet(frame: bytes, seal_id: str, serial: int | None, fields: list[bytes]) -> Frame | Reason:
    if len(fields) < 2:
        return Reason.MALFORMED
    if fields[1] != b"5":  # another sub-device's word: its layout is not published
        return Frame(raw=frame, kind=Kind.OTHER, seal_id=seal_id, word="WLNET", serial=serial)
    if len(fields) != 4:
        return Reason.MALFORMED
    data = _unescape(fields[3])
    head = read_head(data) if len(data) >= _SENSOR_BYTES_MIN else None
    peripheral = _peripheral(data[HEAD_BYTES:]) if head else None
    if head is None or peripheral is None:
        return Reason.MALFORMED
    return Frame(
        raw=frame,
        kind=Kind.PERIPHERAL,
        seal_id=seal_id,
        word="WLNET",
        serial=serial,
        heads=(head,),
        peripheral=peripheral,
        ack=b"(P69,0,%d)" % peripheral.index,
    )


def _peripheral(data: bytes) -> Peripheral | None:
    """A sub-device's own part: its time, id 5, index, battery, level, RSSI, type, and what the type adds."""
    digits = data[:6].hex()
    if not digits.isdecimal():
        return None
    time_ms, time_ok = read_time(digits)
    kind, more = data[16], data[17:]
    is_thermometer = kind == _THERMOMETER
    if is_thermometer and len(more) < _THERMOMETER_BYTES:
        return None
    return Peripheral(
        sensor_id=data[6:11].hex().upper(),
        time_ms=time_ms,
        time_ok=time_ok,
        index=data[11],
        battery_mv=int.from_bytes(data[12:14], "big") * 10,
        level_percent=data[14],
        rssi_dbm=-data[15],
        type=kind,
        temperature_decic=_temperature(more) if is_thermometer else None,
        humidity_percent=more[2] if is_thermometer else None,
        payload=None if is_thermometer else more,
    )


def _temperature(data: bytes) -> int:
    size = (data[0] & 0x0F) << 8 | data[1]
    return -size if data[0] >> 4 else size


def _unescape(data: bytes) -> bytes:
    for written, meant in _ESCAPES:
        data = data.replace(written, meant)
    return data


def _degrees_e7(text: str, degrees_max: int) -> int | None:
    match = _DEGREES.fullmatch(text)
    if match is None:
        return None
    digits = (match[2] or "").ljust(9, "0")
    degrees_e7 = int(match[1]) * 10_000_000 + (int(digits) + 50) // 100
    return degrees_e7 if degrees_e7 <= degrees_max * 10_000_000 else None


def _thousandths(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return (
        None if match is None else int(match[1]) * 1_000 + int((match[2] or "").ljust(3, "0")[:3])
    )


def _small(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
