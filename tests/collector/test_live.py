"""The hub: what changed is told once, in order, to those who may see it; who is behind catches up, who is too far begins anew."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import select

from collector.alerts import Act, Event
from collector.api import frames, hub as hubs, streams
from collector.api.hub import CHECK_MS, ENDED_MS, STAT_AGAIN_MS, STAT_MS, UNITS_MS, Hub, Watch
from collector.api.places import Places
from collector.api.streams import OF_SESSION_MAX, SCOPES_MAX, STREAMS_MAX, TICKS_MAX, Full, Stream
from collector.people import Actor, Role
from collector.store import alert_acts, live, people, schema
from collector.store.database import Store
from collector.store.feed import newest_feed
from tests.collector.fleet import T0_MS, Centre, FleetUnit, fix

Json = dict[str, Any]
Told = tuple[str, Json]
AZIZA = Actor(
    user_id="aziza",
    role=Role.OPERATOR,
    scope="",
    desk="",
    session="aa",
    step_up_ms=None,
    narrowed=False,
)


@dataclass(slots=True, kw_only=True)
class Room:
    """A store, a hub that is asked by hand, and a clock."""

    centre: Centre
    hub: Hub
    mono_ms: int = 1_000_000
    out: set[str] = field(default_factory=set)  # sessions that no longer stand
    out_elsewhere: set[str] = field(default_factory=set)  # that another process has ended
    ended: dict[str, asyncio.Event] = field(default_factory=dict)

    async def join(self, actor: Actor = AZIZA, since: int | None = None) -> "Client":
        stream = await self.hub.join(actor, since)
        assert isinstance(stream, Stream), stream
        return Client(self.hub, stream)

    async def arrived(self, *clients: "Client") -> None:
        """They have heard what everybody hears who joins."""
        await self.pass_(STAT_AGAIN_MS)
        for client in clients:
            assert names(await client.hear())[-1] == "stat"

    async def pass_(self, ms: int = UNITS_MS) -> None:
        self.mono_ms += ms
        await self.hub.step(changed=True)

    async def feed(self) -> int:
        async with self.centre.store.read() as connection:
            return await newest_feed(connection)

    async def say(self, unit: FleetUnit, lat_e7: int = 413_111_000) -> None:
        await self.centre.hear(unit, unit.seal([fix(unit.clock_ms, lat_e7)]).envelope)

    async def move(self, unit_id: str, scope: str) -> None:
        async with self.centre.store.write() as connection:
            assert await people.set_unit_scope(connection, unit_id, scope)


class Client:
    """A browser at the end of a stream."""

    def __init__(self, hub: Hub, stream: Stream) -> None:
        self.hub = hub
        self.stream = stream
        self.units: dict[int, list[int]] = {}
        self.alerts: dict[str, Json] = {}
        self.last_id: int | None = None

    async def hear(self) -> list[Told]:
        """All that is there now."""
        told: list[Told] = []
        while not self.stream.is_done and (said := await self.hub.ready(self.stream)):
            told += [self._one(part) for part in said.decode().split("\n\n") if part]
        return told

    def _one(self, text: str) -> Told:
        lines = dict(line.split(": ", 1) for line in text.split("\n"))
        data: Json = json.loads(lines["data"])
        if "id" in lines:
            self.last_id = int(lines["id"])
        if lines["event"] == "units":
            rows = np.array(data["u"], dtype=np.int64).reshape(-1, 8)
            rows[:, 0] = np.cumsum(rows[:, 0])
            self.units |= {row[0]: row for row in rows.tolist()}
        for row in data.get("rows", ()):
            known = self.alerts.get(row["id"])
            if known is None or known["rev"] < row["rev"]:
                self.alerts[row["id"]] = row
        return lines["event"], data


async def heard(room: Room, unit: FleetUnit, scope: str = "") -> FleetUnit:
    await room.centre.enrol(unit)
    if scope:
        await room.move(unit.unit_id, scope)
    await room.centre.hear(unit, unit.begin().envelope, unit.seal([fix(T0_MS)]).envelope)
    return unit


async def broken(room: Room, unit: FleetUnit) -> None:
    """LOG_INTEGRITY: its history does not hold together."""
    await room.centre.hear(unit, unit.begin(forgets=True).envelope)


def names(told: list[Told]) -> list[str]:
    return [name for name, _ in told]


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with await Store.open("sqlite://") as store:
        yield make_room(store)


def make_room(store: Store) -> Room:
    made: list[Room] = []

    async def stands(actor: Actor) -> bool:
        return actor.session not in made[0].out

    async def tell_ended() -> None:
        for session in made[0].out_elsewhere:
            made[0].ended[session].set()

    watch = Watch(
        store=store,
        now_ms=lambda: made[0].centre.now_ms,
        mono_ms=lambda: made[0].mono_ms if made else 0,
        stands=stands,
        ended=lambda actor: made[0].ended.setdefault(actor.session, asyncio.Event()),
        tell_ended=tell_ended,
        places=Places(),
        build="7",
    )
    made.append(Room(centre=Centre(store), hub=Hub(watch)))
    return made[0]


async def test_a_stream_begins_with_the_build_and_tells_only_what_is_new(room: Room) -> None:
    unit = await heard(room, FleetUnit(unit_id="uz-01"))
    await room.pass_()
    client = await room.join()
    assert await client.hear() == [("deploy", {"build": "7"})]
    await room.arrived(client)
    await room.say(unit, 400_000_000)
    await room.pass_()
    [(name, data)] = await client.hear()
    assert (name, data["f"], client.last_id) == ("units", await room.feed(), await room.feed())
    assert client.units == {1: [1, 69_279_700, 40_000_000, *client.units[1][3:]]}
    await room.pass_()
    assert await client.hear() == []


async def test_positions_wait_for_the_second_and_alerts_do_not(room: Room) -> None:
    unit = await heard(room, FleetUnit(unit_id="uz-01"))
    await room.pass_()
    client = await room.join()
    await room.arrived(client)
    last_id = client.last_id
    await broken(room, unit)
    await room.pass_(10)
    [(name, data)] = await client.hear()
    assert (name, data["f"], client.last_id) == ("alert", await room.feed(), last_id)
    assert last_id != data["f"]
    [row] = data["rows"]
    assert (row["code"], row["prio"], row["stage"], row["rev"]) == (
        "LOG_INTEGRITY",
        1,
        "UNACKED",
        1,
    )
    assert (row["no"], row["plate"], row["owner"], row["more"]) == (1, "uz-01", None, 0)
    await room.pass_(UNITS_MS)
    [(name, _)] = await client.hear()
    assert name == "units"
    assert client.units[1][4] == 1 | 2 << 3  # critical, not acknowledged


async def test_what_a_person_does_is_told_of_alert_and_unit(room: Room) -> None:
    unit = await heard(room, FleetUnit(unit_id="uz-01"))
    await broken(room, unit)
    await room.pass_()
    client = await room.join(since=0)
    await room.arrived(client)
    [id_] = client.alerts
    async with room.centre.store.write() as connection:
        done = Act(event=Event.ACK, by="bahrom")
        await alert_acts.act(connection, bytes.fromhex(id_), done, room.centre.now_ms)
    await room.pass_()
    assert names(await client.hear()) == ["alert", "units"]
    assert (client.alerts[id_]["stage"], client.alerts[id_]["seen_by"]) == ("ACKED", "bahrom")
    assert client.units[1][4] == 1 | 1 << 3


async def test_alerts_go_before_positions_and_all_share_the_same_bytes(room: Room) -> None:
    unit = await heard(room, FleetUnit(unit_id="uz-01"))
    await room.pass_()
    one, two = await room.join(), await room.join(replace(AZIZA, session="bb"))
    await room.arrived(one, two)
    await broken(room, unit)
    await room.pass_()
    said = [await room.hub.take(client.stream) for client in (one, two)]
    assert said[0] is said[1]
    assert said[0].startswith(b"event: alert")
    assert names(await one.hear()) == names(await two.hear()) == ["units"]


async def test_nobody_hears_of_what_he_may_not_see(room: Room) -> None:
    south = await heard(room, FleetUnit(unit_id="uz-01"), "uz.south")
    north = await heard(room, FleetUnit(unit_id="uz-02"), "uz.north")
    await room.pass_()
    whole = await room.join()
    part = await room.join(replace(AZIZA, scope="uz.south", session="bb"))
    for client in (whole, part):
        await client.hear()
    for unit in (south, north):
        await broken(room, unit)
    await room.pass_(STAT_MS)
    told = {client: await client.hear() for client in (whole, part)}
    assert set(whole.units) == {1, 2}
    assert set(part.units) == {1}
    assert {row["unit"] for row in part.alerts.values()} == {"uz-01"}
    stats = {client: dict(told[client])["stat"] for client in told}
    assert (stats[whole]["units"]["all"], stats[part]["units"]["all"]) == (2, 1)
    assert (stats[whole]["alerts"]["1"], stats[part]["alerts"]["1"]) == ([2, 0], [1, 0])


async def test_a_unit_that_leaves_a_scope_is_gone_there_and_nowhere_else(room: Room) -> None:
    await heard(room, FleetUnit(unit_id="uz-01"), "uz.south")
    await room.pass_()
    clients = {
        scope: await room.join(replace(AZIZA, scope=scope, session=scope or "all"))
        for scope in ("", "uz", "uz.south", "uz.north")
    }
    for client in clients.values():
        await client.hear()
    await room.move("uz-01", "uz.north")
    await room.pass_()
    gone = {}
    for scope, client in clients.items():
        await client.hear()
        gone[scope] = [bool(row[5] & live.Shown.GONE) for row in client.units.values()]
    assert gone == {"": [False], "uz": [False], "uz.south": [True], "uz.north": [False]}


async def test_the_strip_is_told_every_five_seconds(room: Room) -> None:
    client = await room.join()
    await client.hear()
    await room.pass_(STAT_MS)
    [(name, stat)] = await client.hear()
    assert (name, stat["ingest_age_s"], stat["t"]) == ("stat", None, room.centre.now_ms)
    unit = await heard(room, FleetUnit(unit_id="uz-01"))
    await broken(room, unit)
    room.centre.now_ms += 7_000
    await room.pass_(STAT_MS - 1)
    assert "stat" not in names(await client.hear())
    await room.pass_(1)
    [(name, stat)] = await client.hear()
    assert (stat["ingest_age_s"], stat["units"]["heard"]) == (7, 1)
    assert (stat["alerts"], stat["last10"], stat["flood"]) == ({"1": [1, 0], "2": [0, 0], "3": [0, 0]}, 1, False)  # fmt: skip
    assert client.last_id == await room.feed()


async def test_a_store_that_takes_nothing_is_told_to_every_seat(room: Room) -> None:
    kept = True
    room.hub.watch = replace(room.hub.watch, keeps=lambda: kept)
    client = await room.join()
    await client.hear()
    for kept in (True, False, True):
        await room.pass_(STAT_MS)
        assert [stat["kept"] for name, stat in await client.hear() if name == "stat"] == [kept]


async def test_who_joins_is_told_the_time_at_the_next_look_and_never_an_old_one(room: Room) -> None:
    one = await room.join()
    assert names(await one.hear()) == ["deploy"]
    await room.pass_(0)
    [(name, stat)] = await one.hear()
    assert (name, stat["t"]) == ("stat", room.centre.now_ms)
    room.centre.now_ms += 500
    crowd = [await room.join(replace(AZIZA, session=f"s{number}")) for number in range(3)]
    assert [names(await client.hear()) for client in crowd] == [["deploy"]] * 3
    await room.pass_(STAT_AGAIN_MS - 1)
    assert "stat" not in names(await crowd[0].hear()), "a crowd is told together"
    await room.pass_(1)
    told = [await client.hear() for client in (one, *crowd)]
    assert [[stat["t"] for _, stat in said] for said in told] == [[room.centre.now_ms]] * 4
    await room.pass_(STAT_MS - 1)
    assert await one.hear() == []
    await room.pass_(1)
    assert names(await one.hear()) == ["stat"]


async def test_who_was_away_gets_each_unit_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "TICKS_MAX", 5)
    units = [await heard(room, FleetUnit(unit_id=f"uz-0{number}")) for number in range(3)]
    await room.pass_()
    since = await room.feed()
    for second in range(8):
        await room.say(units[second % 2], 413_111_000 + 1_000 * second)
        await room.pass_()
    client = await room.join(since=since)
    told = await client.hear()
    assert names(told) == ["deploy", "units"]
    assert sorted(client.units) == [1, 2]
    assert client.last_id == await room.feed()


async def test_who_is_too_far_behind_begins_anew(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ROWS_MAX", 2)
    since = await room.feed()
    for number in range(3):
        await heard(room, FleetUnit(unit_id=f"uz-0{number}"))
    await room.pass_()
    client = await room.join(since=since)
    told = await client.hear()
    assert told == [("deploy", {"build": "7"}), ("reset", {"why": "slow"})]


@pytest.mark.parametrize("since", [-1, 10**9])
async def test_a_number_that_no_feed_of_ours_had_leads_to_a_new_beginning(
    room: Room, since: int
) -> None:
    client = await room.join(since=since)
    assert await client.hear() == [("reset", {"why": "old"}), ("deploy", {"build": "7"})]


async def test_a_session_that_ended_is_let_go_at_once_and_one_that_expired_within_a_minute(
    room: Room,
) -> None:
    one, two = await room.join(), await room.join(replace(AZIZA, session="bb"))
    for client in (one, two):
        await client.hear()
    room.ended["aa"].set()
    await room.hub.step(changed=False)
    assert await one.hear() == [("bye", {"why": "logout"})]
    room.out.add("bb")
    await room.pass_(STAT_MS)
    assert names(await two.hear()) == ["stat"]
    await room.pass_(CHECK_MS)
    assert await two.hear() == [("bye", {"why": "expired"})]


async def test_a_session_that_another_process_ended_is_let_go_within_two_seconds(
    room: Room,
) -> None:
    client = await room.join()
    await room.pass_()
    await client.hear()
    room.out_elsewhere.add("aa")
    await room.pass_(ENDED_MS - 1)
    assert await client.hear() == []
    await room.pass_(1)
    assert await client.hear() == [("bye", {"why": "logout"})]


async def test_a_fifth_window_of_a_session_sends_the_oldest_away(room: Room) -> None:
    clients = [await room.join() for _ in range(OF_SESSION_MAX + 1)]
    said = [await client.hear() for client in clients]
    assert said[0] == [("bye", {"why": "too_many"})]
    assert all(names(told) == ["deploy"] for told in said[1:])


async def test_listeners_and_scopes_have_an_end(room: Room) -> None:
    for number in range(SCOPES_MAX):
        await room.join(replace(AZIZA, scope=f"s{number}", session=str(number)))
    full = await room.hub.join(replace(AZIZA, scope="more"), None)
    assert isinstance(full, Full)
    assert full.code == "too_many_scopes"
    for number in range(STREAMS_MAX - SCOPES_MAX):
        await room.join(replace(AZIZA, scope="s1", session=f"x{number}"))
    full = await room.hub.join(replace(AZIZA, scope="s1", session="y"), None)
    assert isinstance(full, Full)
    assert full.code == "too_many_streams"


async def test_the_end_of_the_program_is_said_to_everybody(room: Room) -> None:
    client = await room.join()
    room.hub.close()
    assert await client.hear() == [("bye", {"why": "shutdown"})]
    room.hub.leave(client.stream)
    assert isinstance(await room.hub.join(AZIZA, None), Full)
    assert len(room.hub) == 0


async def test_a_desk_without_a_listener_for_a_minute_is_unattended(room: Room) -> None:
    async with room.centre.store.write() as connection:
        for name, scope, fallback in (("a1", "uz.south", "b1"), ("b1", "uz", "")):
            await connection.execute(
                schema.desk.insert().values(
                    desk_id=name, name=name, scope=scope, fallback=fallback, made_by="t", made_ms=0
                )
            )
    chief = await room.join(replace(AZIZA, scope="uz", desk="b1"))
    sitter = await room.join(replace(AZIZA, scope="uz.south", desk="a1", session="bb"))
    for client in (chief, sitter):
        await client.hear()
    for _ in range(13):
        await room.pass_(STAT_MS)
    stat = dict(await chief.hear())["stat"]
    assert (stat["unattended"], stat["stands_in"], stat["desk"]) == ([], [], "b1")
    room.hub.leave(sitter.stream)
    for _ in range(12):
        await room.pass_(STAT_MS)
    stat = dict(await chief.hear())["stat"]
    assert (stat["unattended"], stat["stands_in"]) == (["a1"], ["a1"])


async def test_nobody_listens_and_nothing_is_read(room: Room) -> None:
    await room.pass_()
    await heard(room, FleetUnit(unit_id="uz-01"))
    await room.pass_()
    client = await room.join()
    await room.pass_()
    assert names(await client.hear()) == ["deploy", "stat"]


def test_a_line_forgets_its_oldest_and_says_so() -> None:
    line = streams.Line(begin=0)
    for number in range(TICKS_MAX + 2):
        line.add(streams.Frame(begin=number, end=number + 1, data=b"%d," % number))
    assert line.begin == 2
    assert line.after(1) is None
    assert line.after(TICKS_MAX) == b"60,61,"
    assert line.after(TICKS_MAX + 2) == b""
    line.add(streams.Frame(begin=62, end=63, data=bytes(frames.BYTES_MAX)))
    assert line.after(61) is None
    assert line.after(62) == bytes(frames.BYTES_MAX)
    assert hubs.LOOK_S < 1


@given(st.lists(st.sampled_from(["a", "b", "ack", "tick", "hear", "cut", "reset"]), max_size=15))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_however_it_is_cut_a_client_ends_with_what_is_there(steps: list[str]) -> None:
    async with await Store.open("sqlite://") as store:
        room = make_room(store)
        units = {name: await heard(room, FleetUnit(unit_id=f"uz-{name}")) for name in ("a", "b")}
        await room.pass_()
        client = await room.join(since=0)
        for number, step in enumerate(steps):
            match step:
                case "a" | "b":
                    await room.say(units[step], 400_000_000 + number * 1_000)
                case "ack":
                    await broken(room, units["a"])
                case "tick":
                    await room.pass_(300)
                case "hear":
                    await client.hear()
                case "cut":  # what was on the way is lost
                    room.hub.leave(client.stream)
                    again = await room.join(since=client.last_id or 0)
                    client.stream = again.stream
                case _:
                    old, room = room, make_room(store)
                    room.centre, room.mono_ms = old.centre, old.mono_ms
                    again = await room.join(since=client.last_id or 0)
                    client.hub, client.stream = room.hub, again.stream
        await room.pass_()
        await client.hear()
        async with store.read() as connection:
            columns = frames.columns_of(await live.units_now(connection, room.centre.now_ms))
            revs = {
                row.id.hex(): row.rev
                for row in await connection.execute(select(schema.alert.c.id, schema.alert.c.rev))
            }
    shown = [[*row[:3], *row[4:]] for row in columns.tolist()]
    assert [[*client.units[no][:3], *client.units[no][4:]] for no in sorted(client.units)] == shown
    assert {id_: row["rev"] for id_, row in client.alerts.items()} == revs
