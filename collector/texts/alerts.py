"""The alert catalogue: of each code its name, what happened, the likely cause, what to do and how fast (DETECTION section 8).

Law: whatever a finding says becomes a sentence; a code or a word that is newer than the catalogue is shown as it is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.alerts import LATCHED
from collector.detect import PRIORITIES, Phase, Priority
from collector.texts import shown
from collector.texts.catalogue import counted, has, number, text
from collector.texts.measures import distance, percent, span

__all__ = ["CODES", "MINUTES", "Entry", "answer", "entry", "name", "sentence"]

NAMES_MAX = 5  # of a list inside a sentence

MINUTES = {Priority.P1: 2, Priority.P2: 10, Priority.P3: 60}

_OF_CUSTOMS = {  # CUSTOMS section 3: raised by the office, not by a detector; the same life
    "ARRIVAL_DISCREPANCY": Priority.P2,
    "GUARANTEE_INSUFFICIENT": Priority.P2,
    "YIELD_OUT_OF_BAND": Priority.P2,
    "MASS_IMBALANCE": Priority.P2,
    "DISCHARGE_OVERDUE": Priority.P2,
    "BILL_OVERDUE": Priority.P2,
    "DISCHARGE_DUE": Priority.P3,
}
_WORSENS = {  # column P of DETECTION section 8, where it names more than one
    "SEAL_LOST": (Priority.P1,),
    "RFID_CARGO_MISMATCH": (Priority.P1,),
    "CONTACT_LOST": (Priority.P2, Priority.P1),
    "UNSCHEDULED_STOP": (Priority.P2,),
    "BATTERY_LOW": (Priority.P2,),
    "MASS_IMBALANCE": (Priority.P1,),
}
# Every code that may be an alert, with its priorities: the usual one, then what it may worsen to.
CODES: dict[str, tuple[Priority, ...]] = {
    code: (priority, *_WORSENS.get(code, ()))
    for code, priority in (PRIORITIES | _OF_CUSTOMS).items()
}

_OF_AREAS = frozenset({"GNSS_INTERFERENCE"})  # may be of several units and of no single one

_MEASURED: dict[str, Callable[[float, str], str]] = {  # what a number as a finding's value means
    "LEGAL_ROUTE_DEVIATION": distance,
    "ROUTE_DEVIATION": distance,
    "ROUTE_PART_SKIPPED": distance,
    "ROUTE_WRONG_WAY": distance,
    "UNIT_SEPARATED": distance,
    "SEAL_LEFT_OPEN": span,
    "SEAL_LOST": span,
    "UNSCHEDULED_STOP": span,
    "STOP_OVERSTAY": span,
    "TIME_LIMIT_RISK": span,
    "BATTERY_LOW": percent,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the catalogue knows of a code, in one language."""

    code: str
    name: str
    what: str
    cause: str
    do: str
    priorities: tuple[Priority, ...]  # the usual one first
    is_latched: bool  # two persons close it


def entry(code: str, language: str) -> Entry:
    """The row of a code of `CODES`."""
    return Entry(
        code=code,
        name=text(f"alert.{code}.name", language),
        what=text(f"alert.{code}.what", language),
        cause=text(f"alert.{code}.cause", language),
        do=text(f"alert.{code}.do", language),
        priorities=CODES[code],
        is_latched=code in LATCHED,
    )


def name(code: str, language: str) -> str:
    """The name of an alert; of a code that the catalogue does not know, the code."""
    return text(f"alert.{code}.name", language) if code in CODES else shown(code)


def answer(priority: Priority, language: str) -> str:
    """`within 10 minutes`."""
    return counted("answer.minutes", language, MINUTES[priority])


def sentence(
    code: str,
    language: str,
    *,
    value: float | str | None = None,
    data: Mapping[str, object] | None = None,
    unit: str = "",
    seal: str | None = None,
    zone: str | None = None,
    route: str | None = None,
    phase: Phase = Phase.POINT,
) -> str:
    """What a finding of an alert says, for people: who and where, what, and what is known beside it."""
    what = text(f"alert.{code}.what", language) if code in CODES else shown(code)
    nobody = "subject.several" if code in _OF_AREAS else "subject.none"
    subject = _subject(language, nobody, unit=unit, seal=seal, zone=zone, route=route)
    details = "; ".join(_details(code, language, value, data or {}))
    told = (
        text("sentence.told", language, subject=subject, what=what, details=details)
        if details
        else text("sentence", language, subject=subject, what=what)
    )
    return text("sentence.over", language, sentence=told) if phase is Phase.END else told


def _subject(language: str, nobody: str, **names: str | None) -> str:
    """`Unit uz-01, seal UZ-000123`: what is known; an alert of the office has only its journey, one of an area several units."""
    said = [
        text(f"subject.{kind}", language, name=shown(name))
        for kind, name in names.items()
        if name and (kind != "route" or not names["zone"])
    ]
    return ", ".join(said) if names["unit"] else ", ".join([text(nobody, language), *said])


def _details(
    code: str, language: str, value: float | str | None, data: Mapping[str, object]
) -> list[str]:
    said = [] if value is None else [_valued(code, language, value)]
    others = _names(data, "reasons")[1:]  # the first is the value
    said += [_valued(code, language, reason) for reason in others]
    match code:
        case "SEAL_ID_MISMATCH" if declared := _names(data, "declared"):
            said.append(text(f"alert.{code}.declared", language, names=_listed(declared)))
        case "RFID_CARGO_MISMATCH":
            n = data.get("missing_n" if value == "missing" else "foreign_n")
            if isinstance(n, int):
                said.append(counted(f"alert.{code}.tags", language, n))
        case "ROUTE_PART_SKIPPED" if points := _names(data, "checkpoints"):
            said.append(
                counted(f"alert.{code}.checkpoints", language, len(points), names=_listed(points))
            )
        case "GNSS_INTERFERENCE" | "UNIT_SEPARATED" if units := _names(data, "units"):
            said.append(text(f"alert.{code}.units", language, names=_listed(units)))
        case "CONTACT_LOST":
            silent_s = data.get("silent_s")
            if isinstance(silent_s, int | float) and math.isfinite(silent_s):
                said.append(text(f"alert.{code}.silent", language, value=span(silent_s, language)))
        case "LOG_INTEGRITY":
            first, last = data.get("first_batch"), data.get("last_batch")
            if isinstance(first, int) and isinstance(last, int):
                said.append(
                    text(
                        f"alert.{code}.batches",
                        language,
                        first=number(first, language),
                        last=number(last, language),
                    )
                )
        case _:
            pass
    if data.get("gnss"):
        said.append(text("note.gnss", language))
    return said


def _valued(code: str, language: str, value: float | str) -> str:
    """A finding's value: a word of the code's own, or what its number means."""
    if isinstance(value, str):
        if has(f"alert.{code}.word.{value}", language):
            return text(f"alert.{code}.word.{value}", language)
        if has(f"alert.{code}.other", language):
            return text(f"alert.{code}.other", language, word=shown(value))
        return shown(value)
    if not math.isfinite(value):
        return shown(value)
    if code in _MEASURED:
        return text(f"alert.{code}.measured", language, value=_MEASURED[code](value, language))
    return number(value, language, decimals=1)


def _names(data: Mapping[str, object], key: str) -> Sequence[str]:
    found = data.get(key)
    return [str(one) for one in found] if isinstance(found, list | tuple) else ()


def _listed(names: Sequence[str]) -> str:
    more = ", \u2026" if len(names) > NAMES_MAX else ""
    return ", ".join(map(shown, names[:NAMES_MAX])) + more
