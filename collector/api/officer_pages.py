"""The officer's pages: from what is known to one whole document in one of three languages (CONSOLE section 6).

Law: pure: values in, HTML out. The words, shapes and colours of a verdict are those of the unit's own page; green turns grey by itself.
"""

import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from collector.api.officer_answers import Answer
from collector.api.places import Places
from collector.api.static import name_of
from collector.customs.ids import Wanted
from collector.customs.verdict import Colour, Facts, Reason, SealSeen
from collector.store.names import Hit
from collector.store.standing import Subject
from collector.texts import LANGUAGES, moments, shown
from collector.texts.alerts import name as alert_name
from collector.texts.catalogue import counted, text
from collector.texts.measures import span
from collector.texts.places import in_words
from wire.records import SealBit

SEALS_SHOWN_MAX = 5
CONTAINERS_SHOWN_MAX = 3
ON_ITS_WAY_S = 5  # 2 s there and back, and as much for the page
HEAD_DIGITS = 8  # of a head, for eyes that compare two

NAMES = (("uz", "UZ"), ("ru", "RU"), ("en", "EN"))
# Octagon with a cross, triangle with a mark, dashed ring with a question, ring with a tick: a shape tells what its colour tells.
ICONS: Mapping[str, Markup] = {
    Colour.RED.value: Markup(
        '<path d="M7 2h10l5 5v10l-5 5H7l-5-5V7z"/><path d="M8 8l8 8m0-8l-8 8"/>'
    ),
    Colour.AMBER.value: Markup('<path d="M12 2.5L22.5 21h-21z"/><path d="M12 9v6m0 2.5v.5"/>'),
    Colour.GREY.value: Markup(
        '<circle cx="12" cy="12" r="10" stroke-dasharray="3 2.2"/>'
        '<path d="M9 9.5a3 3 0 1 1 4.5 2.5c-1 .6-1.5 1-1.5 2.3m0 2.7v.5"/>'
    ),
    Colour.GREEN.value: Markup(
        '<circle cx="12" cy="12" r="10"/><path d="M7 12.5l3.5 3.5L17 8.5"/>'
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every page of one person has."""

    language: str
    nonce: str
    csrf: str = ""
    who: str = ""  # whose reports may leave this phone
    asked: str = ""  # as it was typed
    here: str = ""  # the query of this page, for the other languages


class Pages:
    """Templates, and what the site says of itself."""

    def __init__(self, *, zone: tzinfo, phone: str, places: Places) -> None:
        self._zone = zone
        self._places = places
        self._phone = phone
        self._templates = Environment(
            loader=FunctionLoader(_source),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._style = Markup("".join(_source("officer.css").split("\n")))  # noqa: S704  # our own file

    def form(self, frame: Frame, *, fault: str = "") -> str:
        return self._page("form.html", frame, fault=fault and text(fault, frame.language))

    def alone(self, frame: Frame) -> str:
        """What a phone without the network shows of a unit's code: its script looks whether the unit has signed it."""
        return self._page("alone.html", frame, icons=ICONS, phone=self._phone)

    def login(self, frame: Frame, *, then: str, user: str = "", fault: str = "") -> str:
        said = fault and text(fault, frame.language)
        return self._page("login.html", frame, next=then, user=user, fault=said)

    def hits(self, frame: Frame, wanted: Wanted, hits: Sequence[Hit]) -> str:
        language = frame.language
        return self._page(
            "list.html",
            frame,
            heading=counted("officer.hits", language, len(hits)),
            searched=text("officer.searched", language, number=wanted.shown),
            hits=[
                {
                    "unit_id": hit.unit_id,
                    "shown": shown(hit.shown),
                    "kind": text(f"officer.kind.{hit.kind}", language),
                }
                for hit in hits
            ],
        )

    def answer(
        self,
        frame: Frame,
        asked: Answer,
        report: Sequence[tuple[str, str]] = (),
        *,
        fault: str = "",
    ) -> str:
        """`report`: the fields of the form with which this person reports; none: he reports nothing."""
        language, judged = frame.language, asked.verdict
        data_ms = _data_ms(asked.facts)
        until_ms = judged.green_until_ms
        wanted = asked.wanted
        return self._page(
            "answer.html",
            frame,
            colour=judged.colour.value,
            icons=ICONS,
            word=text(f"officer.{judged.colour.value}", language),
            subject=_name_of(asked),
            searched=wanted and text("officer.searched", language, number=wanted.shown),
            misspelt=wanted and wanted.is_misspelt and text("officer.misspelt", language),
            as_of=data_ms is not None and text("officer.as_of", language, time=self.clock(data_ms)),
            ago=data_ms is not None and _ago(asked.now_ms - data_ms, language),
            green_s=0 if until_ms is None else _green_s(until_ms - asked.now_ms),
            green_until=until_ms is not None
            and text("officer.green_until", language, time=self.clock(until_ms)),
            reasons=[self.sentence(one, language, asked.now_ms) for one in judged.reasons],
            code=self._code(asked, language),
            facts=self._facts(asked, language),
            report=report,
            fault=fault and text(fault, language),
            phone=self._phone,
        )

    def sentence(self, reason: Reason, language: str, now_ms: int) -> str:
        """A reason with its time, if it has one: the day too where it was another one."""
        if reason.code == "alert":
            said = alert_name(reason.name, language)
            said += f" {shown(reason.seal)}" if reason.seal else ""
        else:
            said = text(
                f"officer.reason.{reason.code}",
                language,
                seal=shown(reason.seal),
                n=str(reason.number),
                age=span(reason.number, language),
                name=shown(reason.name),
            )
        return (
            said
            if reason.at_ms is None
            else f"{said}, {self._moment(reason.at_ms, now_ms, language)}"
        )

    def clock(self, utc_ms: int) -> str:
        """The time of day at the site, with its distance from UTC: a truck has come from another zone."""
        offset_min = self._offset_min(utc_ms)
        hours, minutes = divmod(abs(offset_min), 60)
        offset = f"{'-' if offset_min < 0 else '+'}{hours:02}" + (
            f"{minutes:02}" if minutes else ""
        )
        return f"{moments.time(utc_ms, offset_min)}\u00a0{offset}"

    def _offset_min(self, utc_ms: int) -> int:
        offset = datetime.fromtimestamp(utc_ms // 1_000, self._zone).utcoffset()
        assert offset is not None
        return offset // timedelta(minutes=1)

    def _moment(self, utc_ms: int, now_ms: int, language: str) -> str:
        """The time of day, and the day too where it was another one."""
        of, now = self._offset_min(utc_ms), self._offset_min(now_ms)
        is_today = moments.date(utc_ms, of, language) == moments.date(now_ms, now, language)
        return moments.clock(utc_ms, of) if is_today else moments.moment(utc_ms, of, language)

    def _code(self, asked: Answer, language: str) -> list[str]:
        """What the unit's code says beside the centre's own."""
        weighed, statement = asked.weighed, asked.statement
        if not asked.by_code:
            return []
        if statement is None or weighed is None:
            return [text("officer.code.bad", language)]
        said = []
        if weighed.code.value == "same":
            at = self.clock(statement.at_s * 1_000)
            said.append(text("officer.code.same", language, time=at))
        said.append(
            text(
                "officer.code.unit",
                language,
                n=str(statement.batch_no),
                head=statement.head.hex()[:HEAD_DIGITS],
            )
        )
        if weighed.our_no < 0:
            return [*said, text("officer.code.centre_none", language)]
        head = weighed.our_head.hex()[:HEAD_DIGITS]
        return [*said, text("officer.code.centre", language, n=str(weighed.our_no), head=head)]

    def _facts(self, asked: Answer, language: str) -> list[tuple[str, list[str]]]:
        """Of all facts an officer sees these only (CONSOLE section 6)."""
        subject, facts = asked.subject, asked.facts
        if subject is None:
            return []
        lines: list[tuple[str, list[str]]] = [
            ("truck", [shown(subject.plate)]),
            ("trailer", [shown(subject.trailer)]),
            ("container", _some(subject.containers, CONTAINERS_SHOWN_MAX)),
            ("seals", self._seals(facts, asked.now_ms, language)),
            ("journey", [shown(subject.journey)]),
            ("corridor", [shown(subject.route)]),
            ("fix", self._fix(subject, facts, asked.now_ms, language)),
            ("last_check", self._checked(asked, language)),
            ("unit", [shown(subject.unit_id)]),
        ]
        return [
            (text(f"officer.{label}", language), [line for line in said if line])
            for label, said in lines
            if any(said)
        ]

    def _seals(self, facts: Facts, now_ms: int, language: str) -> list[str]:
        said = [
            line
            for seal in facts.seals[:SEALS_SHOWN_MAX]
            for line in self._seal(seal, now_ms, language)
        ]
        if len(facts.seals) > SEALS_SHOWN_MAX:
            said.append(f"+ {len(facts.seals) - SEALS_SHOWN_MAX}")
        return said or [text("officer.no_seals", language)]

    def _seal(self, seal: SealSeen, now_ms: int, language: str) -> list[str]:
        """Its number; its state and battery; when it was heard: a time, as an age would be a lie in a stored answer."""
        locked = seal.says(SealBit.LOCKED)
        state = text(
            f"officer.{'unknown' if locked is None else 'locked' if locked else 'unlocked'}",
            language,
        )
        if seal.battery_percent is not None:
            state += ", " + text("officer.battery", language, n=str(seal.battery_percent))
        heard = (
            text("officer.unheard", language)
            if seal.reported_ms is None
            else self._moment(seal.reported_ms, now_ms, language)
        )
        return [shown(seal.seal_id), state, heard]

    def _fix(self, subject: Subject, facts: Facts, now_ms: int, language: str) -> list[str]:
        if subject.lat_e7 is None or subject.lon_e7 is None or facts.fix_ms is None:
            return [text("officer.unknown", language)]
        near = in_words(self._places.near(subject.lat_e7, subject.lon_e7), language)
        place = f"{subject.lat_e7 / 1e7:.5f}, {subject.lon_e7 / 1e7:.5f}"
        return [near, place, self._moment(facts.fix_ms, now_ms, language)]

    def _checked(self, asked: Answer, language: str) -> list[str]:
        if asked.checked is None:
            return []
        matches, at_ms = asked.checked
        word = text(f"officer.said_{'matches' if matches else 'differs'}", language)
        return [f"{word}, {self._moment(at_ms, asked.now_ms, language)}"]

    def _page(self, name: str, frame: Frame, **more: object) -> str:
        return self._templates.get_template(name).render(
            t=lambda key, **parameters: text(key, frame.language, **parameters),
            style=self._style,
            script=script_of("officer.js").version,
            languages=NAMES,
            language=frame.language,
            nonce=frame.nonce,
            csrf=frame.csrf,
            who=frame.who,
            bare=name == "login.html",  # no box yet, and nothing to scan for
            asked=frame.asked,
            here=frame.here,
            **more,
        )


def language_of(wanted: str, accept: str) -> str:
    """`wanted` if it is one of ours, else what Accept-Language likes best (RFC 9110, 12.5.4), else the first."""
    if wanted in LANGUAGES:
        return wanted
    best, best_q = LANGUAGES[0], 0.0
    for part in accept.split(",")[:16]:
        name, _, weight = part.partition(";")
        language = name.strip().lower().split("-")[0]
        q = _quality(weight)
        if language in LANGUAGES and q > best_q:
            best, best_q = language, q
    return best


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        q = float(value)
    except ValueError:
        return 0.0
    return min(max(q, 0.0), 1.0) if math.isfinite(q) else 0.0


def _data_ms(facts: Facts) -> int | None:
    """The oldest of what the answer rests on."""
    times = [facts.fix_ms, *(seal.reported_ms for seal in facts.seals)]
    return min((one for one in times if one is not None), default=None)


def _green_s(left_ms: int) -> int:
    """For how long the phone may show green: it begins to count when the page has come, and a slow line has taken its time."""
    return max(1, left_ms // 1_000 - ON_ITS_WAY_S)


def _ago(passed_ms: int, language: str) -> str:
    return moments.ago(max(0, passed_ms) // 1_000, language)


def _name_of(asked: Answer) -> str:
    if asked.subject is None:
        return asked.wanted.shown if asked.wanted is not None else ""
    return shown(asked.subject.plate or asked.subject.unit_id)


def _some(names: Sequence[str], most: int) -> list[str]:
    more = [f"+ {len(names) - most}"] if len(names) > most else []
    return [*map(shown, names[:most]), *more]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a page loads beside itself."""

    data: bytes
    packed: bytes
    version: str  # of its bytes: what bears it in its address never changes


@cache
def script_of(name: str) -> Script:
    data = files("collector").joinpath("web", "officer", name).read_bytes()
    decoder = name_of(
        "qr-"
    )  # loaded when somebody scans; without a build the browser's own detector is all there is
    if decoder:
        data = data.replace(b"/assets/qr.js", f"/assets/{decoder}".encode())
    packed = gzip.compress(data, 9, mtime=0)
    return Script(data=data, packed=packed, version=sha256(data).hexdigest()[:8])


@cache
def _source(name: str) -> str:
    return files("collector").joinpath("web", "officer", name).read_text(encoding="utf-8")
