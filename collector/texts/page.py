"""docs/ALERTS.md, drawn from the tables: the catalogue in three languages and the life of an alert.

Law: nothing on the page is written by hand, so that it cannot be older than the program.
"""

from collections.abc import Iterator

from collector.alerts import LIFE, LIFE_LATCHED, Event, State, move
from collector.cases import LIFE as CASE_LIFE, CaseEvent, CaseState
from collector.texts.alerts import CODES, MINUTES, entry
from collector.texts.catalogue import text

UNLATCHED = "ROUTE_DEVIATION"  # any code that a detector may clear
COMMAND = "plomba alert catalogue --write docs/ALERTS.md"
TITLES = {"en": "English", "ru": "Русский", "uz": "Oʻzbekcha"}  # noqa: RUF001  # written with letters that look Latin


def page() -> str:
    """The page as it must stand in the docs."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    minutes = ", ".join(f"{priority.value} {MINUTES[priority]} min" for priority in MINUTES)
    yield from (
        "# Alerts",
        "",
        f"Drawn by `{COMMAND}` from `collector/texts`, `collector/alerts.py` and `collector/cases.py`; a test holds it fresh.",
        "",
        f"Answer within: {minutes}. L: latched, closed by two persons. `P3 > P2`: may worsen to.",
        f"One alert with its sentence, its findings and its history: `plomba alert show ID --lang {'|'.join(TITLES)}`.",
    )
    for language, title in TITLES.items():
        yield from ("", f"## {title}", "")
        yield from _catalogue(language)
    yield from ("", "## The life of an alert", "")
    yield from _life()
    yield from ("", "## The life of a case", "")
    yield from _case_life()


def _catalogue(language: str) -> Iterator[str]:
    heads = (text(f"label.{label}", language) for label in ("what", "cause", "do"))
    yield f"| | P | {' | '.join(heads)} |"
    yield "|---|---|---|---|---|"
    for code in CODES:
        row = entry(code, language)
        priorities = " > ".join(priority.value for priority in row.priorities)
        latched = " L" if row.is_latched else ""
        yield f"| **{row.name}** `{code}` | {priorities}{latched} | {row.what} | {row.cause} | {row.do} |"


def _life() -> Iterator[str]:
    yield "An empty cell: no move, the event is refused with its reason. `same`: counted and noted. After `;`: a latched alert."
    yield ""
    yield f"| state | {' | '.join(event.value for event in Event)} |"
    yield f"|---{'|---' * len(Event)}|"
    for state, row in LIFE.items():
        latched = LIFE_LATCHED.get(state, {})
        cells = (_cell(state, event, row, latched) for event in Event)
        yield f"| {state.value} | {' | '.join(cells)} |"
    yield ""
    yield "| state | en | ru | uz |"
    yield "|---|---|---|---|"
    for state in State:
        words = (text(f"state.{state.value}", language) for language in TITLES)
        yield f"| {state.value} | {' | '.join(words)} |"


def _case_life() -> Iterator[str]:
    yield "What people make of one alert or several. An empty cell: refused. A supervisor reviews, another person than the one who resolved."
    yield ""
    yield f"| state | {' | '.join(event.value for event in CaseEvent)} |"
    yield f"|---{'|---' * len(CaseEvent)}|"
    for state, row in CASE_LIFE.items():
        cells = (row[event].value if event in row else "" for event in CaseEvent)
        yield f"| {state.value} | {' | '.join(cells)} |"
    yield ""
    yield "| state | en | ru | uz |"
    yield "|---|---|---|---|"
    for case in CaseState:
        words = (text(f"case.{case.value}", language) for language in TITLES)
        yield f"| {case.value} | {' | '.join(words)} |"


def _cell(
    state: State, event: Event, row: dict[Event, State | None], latched: dict[Event, State | None]
) -> str:
    plain = _word(row[event]) if event in row else ""
    cleared = move(UNLATCHED, state, event, cleared=True)
    if cleared is not None and cleared is not move(UNLATCHED, state, event):
        plain += f", if its cause is over {cleared.value}"
    other = _word(latched[event]) if event in latched else ""
    return f"{plain}; {other}".strip() if other and other != plain else plain


def _word(state: State | None) -> str:
    return "same" if state is None else state.value
