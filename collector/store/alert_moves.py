"""Alerts as new findings move them, with their history, in the transaction of a tick (DETECTION section 8).

Law: a move is a row of the table in `collector.alerts`; of a tick an alert is changed once, whatever it went through.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.alerts import State, move, opening_of
from collector.detect import Finding, Level, Phase
from collector.notify import Change
from collector.store import schema
from collector.store.dialect import upsert
from collector.store.folds import refold
from collector.store.loads import parts

Rows = list[dict[str, Any]]


async def move_alerts(
    connection: AsyncConnection,
    fresh: Sequence[Finding],
    settled: Sequence[tuple[bytes, str]],
    now_ms: int,
    feed: int,
) -> tuple[set[bytes], list[tuple[bytes, Change]]]:
    """Move the alerts that new findings speak of, by the table of `collector.alerts`."""
    raised = [finding for finding in fresh if finding.level is Level.ALERT]
    ids = list({finding.id for finding in raised} | {id_ for id_, _ in settled})
    if not ids:
        return set(), []
    columns = schema.alert.c
    rows: dict[bytes, dict[str, Any]] = {}
    for some in parts(ids):
        found = await connection.execute(select(schema.alert).where(columns.id.in_(some)))
        rows.update({row.id: dict(row._mapping) for row in found})  # noqa: SLF001 - the public name of a row as a mapping
    acts: Rows = []
    befores: dict[bytes, dict[str, Any] | None] = {}
    named = {finding.id: _units_in(finding) for finding in raised}
    for finding in raised:
        before = rows.get(finding.id)
        befores.setdefault(finding.id, before)
        rows[finding.id] = after = _moved(before, finding, now_ms)
        acts.append(_act_row(finding.id, _event_of(before, finding), after["state"], now_ms))
    for id_, word in settled:
        if id_ in rows:
            before = rows[id_]
            rows[id_] = {
                **before,
                "settled": word,
                "changed_ms": now_ms,
                "rev": before["rev"] + 1,
            }
            acts.append(_act_row(id_, word, rows[id_]["state"], now_ms))
    if acts:
        await connection.execute(schema.alert_act.insert(), acts)
    changed = [{**row, "feed": feed} for row in rows.values()]
    folded: set[bytes] = set()
    if changed:
        await connection.execute(upsert(connection.dialect.name, schema.alert), changed)
        folded = await refold(connection, {row["unit"] for row in changed}, feed)
    # A tick is one change to an alert: what began and ended in one backlog is told as what it is now.
    return set(rows) | folded, [
        (id_, _change(before, rows[id_], named[id_])) for id_, before in befores.items()
    ]


def _units_in(finding: Finding) -> tuple[str, ...]:
    """The units that a finding names which is not one unit's own, or not only."""
    units = finding.data.get("units", ())
    return tuple(map(str, units)) if isinstance(units, list | tuple) else ()


def _change(
    before: dict[str, Any] | None, after: dict[str, Any], others: tuple[str, ...]
) -> Change:
    return Change(
        code=after["code"],
        unit=after["unit"],
        before=None if before is None else State(before["state"]),
        after=State(after["state"]),
        priority_before=None if before is None else before["priority"],
        priority=after["priority"],
        count=after["count"],
        at_ms=after["at_ms"],
        is_over=after["cleared"],
        others=others,
    )


def _event_of(row: dict[str, Any] | None, finding: Finding) -> str:
    """What a finding was to its alert, as its history names it."""
    if row is None:
        return "raise"
    return opening_of(finding, row["priority"]).event.value


def _act_row(id_: bytes, act: str, state: str, at_ms: int) -> dict[str, Any]:
    return {
        "alert_id": id_,
        "at_ms": at_ms,
        "act": act,
        "state": state,
        "who": "",
        "why": "",
        "outcome": None,
        "until_ms": None,
    }


def _moved(row: dict[str, Any] | None, finding: Finding, now_ms: int) -> dict[str, Any]:
    assert finding.priority is not None, "an alert without a priority"
    opening = opening_of(finding, None if row is None else row["priority"])
    cleared = finding.phase is Phase.END
    if row is None:
        return {
            "id": finding.id,
            "code": finding.code,
            "unit": finding.unit,
            "priority": finding.priority.value,
            "state": opening.state.value,
            "cleared": cleared,
            "settled": None,
            "count": 1,
            "at_ms": finding.at_ms,
            "begun_ms": finding.received_ms if finding.received_ms is not None else now_ms,
            "changed_ms": now_ms,
            "last_n": finding.n,
            "rev": 1,
            "owner": None,
            "seen_by": None,
            "until_ms": None,
            "proposed_by": None,
            "outcome": None,
            "under": None,
            "folded": 0,
            "chatter_ms": None,
        }
    state = State(row["state"])
    after = move(finding.code, state, opening.event, cleared=row["cleared"])
    rests = after in (None, state)
    return {
        **row,
        "until_ms": row["until_ms"] if rests else None,
        "proposed_by": row["proposed_by"] if rests else None,
        "state": (after or state).value,
        "cleared": cleared,
        "priority": min(row["priority"], finding.priority.value),
        "count": row["count"] + (not cleared),
        "changed_ms": now_ms,
        "last_n": max(row["last_n"], finding.n),
        "rev": row["rev"] + 1,
        "seen_by": None if after is State.UNACKED else row["seen_by"],
    }
