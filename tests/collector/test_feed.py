"""One rising number for ticks and for people: what changes what is seen bears it (CONSOLE section 7)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select, update

from collector.alerts import Act, Event, Mark, NotMoved, State
from collector.store import JourneyRow, alert_acts, schema
from collector.store.alert_acts import Acted
from collector.store.database import Store
from collector.store.feed import newest_feed
from tests.collector.fleet import Centre, FleetUnit, event
from wire.records import EventKind

SEAL_ID = "7591225008"


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with await Store.open("sqlite://") as store:
        yield Centre(store)


async def newest(centre: Centre) -> int:
    async with centre.store.read() as connection:
        return await newest_feed(connection)


async def rows(centre: Centre, table: str) -> list[Row[Any]]:
    async with centre.store.read() as connection:
        found = await connection.execute(select(schema.metadata.tables[table]))
        return list(found)


async def broken(centre: Centre, name: str = "uz-01") -> Row[Any]:
    """The alert of a unit that has broken its history: LOG_INTEGRITY."""
    unit = FleetUnit(unit_id=name)
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope)
    await centre.hear(unit, unit.begin(forgets=True).envelope)
    return next(row for row in await rows(centre, "alert") if row.unit == name)


async def act(centre: Centre, id_: bytes, event: Event, **more: object) -> Acted:
    done = Act(event=event, by="aziza", **more)  # type: ignore[arg-type]  # tests name fields of Act
    async with centre.store.write() as connection:
        acted = await alert_acts.act(connection, id_, done, centre.now_ms)
    assert isinstance(acted, Acted), acted
    return acted


async def test_ticks_and_people_count_in_one_row_of_numbers(centre: Centre) -> None:
    alert = await broken(centre)
    after_tick = await newest(centre)
    assert alert.feed == after_tick
    [now] = await rows(centre, "unit_now")
    assert now.feed == after_tick
    acted = await act(centre, alert.id, Event.ACK)
    [alert] = await rows(centre, "alert")
    assert (alert.feed, await newest(centre)) == (after_tick + 1, after_tick + 1)
    assert (acted.rev, alert.rev, alert.seen_by) == (2, 2, "aziza")
    [now] = await rows(centre, "unit_now")
    assert now.feed == after_tick  # the position is the old one


async def test_what_is_refused_takes_no_number(centre: Centre) -> None:
    alert = await broken(centre)
    before = await newest(centre)
    async with centre.store.write() as connection:
        done = Act(event=Event.SECOND, by="aziza")
        refused = await alert_acts.act(connection, alert.id, done, centre.now_ms)
    assert isinstance(refused, NotMoved)
    assert await newest(centre) == before


async def test_nobody_acts_on_a_row_that_changed_under_him(centre: Centre) -> None:
    alert = await broken(centre)
    await act(centre, alert.id, Event.ACK)
    async with centre.store.write() as connection:
        for done in (
            await alert_acts.act(
                connection, alert.id, Act(event=Event.ACK, by="b"), centre.now_ms, rev=1
            ),
            await alert_acts.mark(
                connection, alert.id, Mark(what="note", by="b", reason="x"), centre.now_ms, rev=1
            ),
        ):
            assert isinstance(done, NotMoved)
            assert done.code == "stale"


@pytest.mark.long
async def test_owner_words_and_outcome_are_told_and_move_nothing(centre: Centre) -> None:
    alert = await broken(centre)
    marks = (
        Mark(what="take", by="aziza", owner="aziza"),
        Mark(what="assign", by="aziza", owner="bahrom", reason="his road"),
        Mark(what="dispatch", by="bahrom", reason="post 4"),
        Mark(what="note", by="bahrom", reason="driver does not answer"),
    )
    revs = []
    for mark in marks:
        async with centre.store.write() as connection:
            acted = await alert_acts.mark(connection, alert.id, mark, centre.now_ms)
        assert isinstance(acted, Acted)
        revs.append(acted.rev)
    [alert] = await rows(centre, "alert")
    assert revs == [2, 3, 4, 5]
    assert (alert.owner, alert.state, alert.feed) == ("bahrom", "UNACKED", await newest(centre))
    acts = [(row.act, row.who, row.why) for row in await rows(centre, "alert_act")]
    assert acts[1:] == [
        ("take", "aziza", ""),
        ("assign", "aziza", "to bahrom: his road"),
        ("dispatch", "bahrom", "post 4"),
        ("note", "bahrom", "driver does not answer"),
    ]


@pytest.mark.parametrize(
    ("mark", "code"),
    [
        (Mark(what="note", by="a"), "no_reason"),
        (Mark(what="assign", by="a"), "no_owner"),
        (Mark(what="resolve", by="a", outcome="PERHAPS"), "no_outcome"),
        (
            Mark(what="resolve", by="a", outcome="FALSE"),
            "no_move",
        ),  # two persons close a latched one
        (Mark(what="take", by="a", owner="a", reason="x" * 501), "long_reason"),
    ],
)
async def test_what_cannot_be_noted_says_why(centre: Centre, mark: Mark, code: str) -> None:
    alert = await broken(centre)
    async with centre.store.write() as connection:
        refused = await alert_acts.mark(connection, alert.id, mark, centre.now_ms)
    assert isinstance(refused, NotMoved)
    assert refused.code == code


async def test_enrolment_journey_and_revocation_are_told_of_the_unit(centre: Centre) -> None:
    unit = FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    [row] = await rows(centre, "unit")
    assert row.feed == await newest(centre) == 1
    await centre.store.add_journey(JourneyRow(id="26UZ1", unit_id="uz-01", since_ms=1))
    [row] = await rows(centre, "unit")
    assert row.feed == await newest(centre) == 2
    [key] = await rows(centre, "unit_key")
    assert await centre.store.revoke(key.kid, now_ms=5)
    assert not await centre.store.revoke(key.kid, now_ms=6)
    [row] = await rows(centre, "unit")
    assert row.feed == await newest(centre) == 3


async def test_a_rest_that_ends_is_told(centre: Centre) -> None:
    alert = await broken(centre)
    await act(
        centre,
        alert.id,
        Event.TAKE_OUT,
        reason="garage",
        is_supervisor=True,
        until_ms=centre.now_ms + 5_000,
    )
    centre.now_ms += 11_000
    await centre.ticker.run([], centre.now_ms)
    [row] = await rows(centre, "alert")
    assert (State(row.state), row.rev) == (State.UNACKED, 3)
    assert row.feed > alert.feed + 1


async def test_alerts_of_a_unit_fold_under_the_first_and_are_seen_with_it(centre: Centre) -> None:
    unit = FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    refused = [
        event(
            EventKind.ACCESS, (f"{number}{SEAL_ID}", "jt701", "card", 0, 0, "9", None, 1, 0, None)
        )
        for number in range(3)
    ]
    await centre.hear(unit, unit.begin(more=refused).envelope)
    found = sorted(await rows(centre, "alert"), key=lambda row: (row.at_ms, row.id))
    leader = next(row for row in found if row.under is None)
    followers = [row for row in found if row.under == leader.id]
    assert (len(found), len(followers), leader.folded) == (3, 2, 2)
    await act(centre, leader.id, Event.ACK)
    after = {row.id: row for row in await rows(centre, "alert")}
    assert {row.seen_by for row in after.values()} == {"aziza"}
    assert all(after[row.id].rev > row.rev for row in found)
    assert {row.feed for row in after.values()} == {await newest(centre)}


async def test_a_commit_of_another_process_is_noticed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'collector.db'}"
    told: list[int] = []
    async with await Store.open(url) as ours, await Store.open(url) as other:
        ours.on_commit(lambda: told.append(1))
        async with ours.watch() as version:
            first = await version()
            assert await version() == first
            async with other.write() as connection:
                await connection.execute(update(schema.feed).values(number=7))
            second = await version()
            assert (second != first, told) == (True, [])
            async with ours.write() as connection:
                await connection.execute(update(schema.feed).values(number=8))
            assert await version() != second
            assert told == [1]


async def test_what_is_rolled_back_is_not_told(centre: Centre) -> None:
    told: list[int] = []
    centre.store.on_commit(lambda: told.append(1))
    with pytest.raises(ZeroDivisionError):
        async with centre.store.write() as connection:
            await connection.execute(update(schema.feed).values(number=1 // int("0")))
    assert told == []
