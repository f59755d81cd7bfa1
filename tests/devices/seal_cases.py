"""The captured and built frames of seals, and how their expectations are compared."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from devices import Fact, SealAlive, SealAnswer, SealEvent, SealReport, SealSecret

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "seals"
FILES = ("jt701", "jt701_made", "eseal", "eseal_made", "jt808", "jt808_made", "streams", "bad")


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    file: str
    protocol: str
    data: bytes
    expect: list[dict[str, object]]  # one a frame


def cases(*files: str, protocol: str | None = None) -> list[Case]:
    found = [case for file in files or FILES for case in _read(file)]
    return [case for case in found if protocol in {None, case.protocol}]


@cache
def data_of(name: str) -> bytes:
    return next(case.data for case in cases() if case.name == name)


def differences(wanted: object, got: object, path: str = "") -> list[str]:
    """Where `got` is not as `wanted`; what `wanted` does not name is not compared."""
    match wanted:
        case dict():
            if not isinstance(got, dict):
                return [f"{path}: {got!r} is no object"]
            return [
                difference
                for key, value in wanted.items()
                for difference in differences(value, got.get(key, "missing"), f"{path}.{key}")
            ]
        case list():
            if not isinstance(got, list) or len(got) != len(wanted):
                return [f"{path}: {got!r} instead of {len(wanted)} entries"]
            pairs = enumerate(zip(wanted, got, strict=True))
            return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}[{i}]")]
        case float():
            is_place = path.rpartition(".")[2] in {"lat", "lon", "reported_lat", "reported_lon"}
            slack = 1e-6 if is_place else 1e-3
            is_number = isinstance(got, int | float) and not isinstance(got, bool)
            is_near = is_number and abs(float(str(got)) - wanted) <= slack
            return [] if is_near else [f"{path}: {got!r} instead of {wanted!r}"]
        case _:
            is_same = got == wanted and isinstance(got, bool) is isinstance(wanted, bool)
            return [] if is_same else [f"{path}: {got!r} instead of {wanted!r}"]


def plain(fact: Fact) -> dict[str, object]:
    """A seal's fact in the words of the JSON line, as far as a fact says them."""
    match fact:
        case SealReport():
            return _report(fact)
        case SealEvent():
            return _event(fact)
        case SealAnswer():
            return {"seal_id": fact.seal_id, "reply": None}
        case SealSecret():
            return {"seal_id": fact.seal_id, "reply": _text(fact.ack)}
        case SealAlive():
            return {"seal_id": fact.seal_id, "reply": None}
        case _:
            raise AssertionError(f"no seal says {fact!r}")


def iso_ms(text: object) -> int | None:
    """Unix ms of `YYYY-MM-DDTHH:MM:SSZ`, reckoned by hand so that it is no copy of the room's way."""
    if text is None:
        return None
    date, _, clock = str(text).rstrip("Z").partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    shifted, month = (year - 1, month + 12) if month < 3 else (year, month)
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + (153 * month - 457) // 5
    return ((days + day - 719_469) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000


def _read(file: str) -> Iterator[Case]:
    for line in (VECTORS / f"{file}.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        data = bytes.fromhex(case["hex"]) if "hex" in case else case["frame"].encode("ascii")
        expect = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
        yield Case(case["id"], file, case["protocol"], data, expect)


def _report(fact: SealReport) -> dict[str, object]:
    same = (
        "seal_id model time_ok sats locked rope_in cover_closed door_closed rope_cut cover_opened removed "
        "opened_while_sealed illegal_card wrong_password motor_stuck vibration long_unlocked low_battery "
        "enter_fence exit_fence battery_percent charging battery_mv mileage_km gsm wake serial time_ms"
    )
    said: dict[str, object] = {name: getattr(fact, name) for name in same.split()}
    return said | _place(fact) | {
        "protocol": fact.protocol,
        "data_type": fact.data_type.name.lower(),
        "reported_lat": _degrees(fact.reported_lat_e7),
        "reported_lon": _degrees(fact.reported_lon_e7),
        "course_deg": None if fact.course_cdeg is None else fact.course_cdeg // 100,
        "status_raw": fact.status_raw.hex().upper() if fact.status_raw else None,
        "reply": _text(fact.ack),
    }  # fmt: skip


def _event(fact: SealEvent) -> dict[str, object]:
    same = "source verification opened authorised fence_id card password_ok wrong_passwords serial"
    event: dict[str, object] = {name: getattr(fact, name) for name in same.split()}
    return _place(fact) | {
        "protocol": fact.protocol,
        "seal_id": fact.seal_id,
        "time_ms": fact.time_ms,
        "locked": fact.locked,
        "event": event,
        "serial": fact.serial,
        "reply": _text(fact.ack),
    }


def _place(fact: SealReport | SealEvent) -> dict[str, object]:
    return {
        "lat": _degrees(fact.lat_e7),
        "lon": _degrees(fact.lon_e7),
        "fix_valid": fact.lat_e7 is not None,
        "position_source": fact.position_source.value if fact.position_source else None,
        "speed_cm_s": fact.speed_cm_s,
    }


def _degrees(angle_e7: int | None) -> float | None:
    return None if angle_e7 is None else angle_e7 / 10_000_000


def _text(ack: bytes | None) -> str | None:
    """As the command shows it: hex for jt808, which has marks that are no text."""
    if ack is None:
        return None
    return ack.hex().upper() if ack.startswith(b"~") else ack.decode("ascii")
