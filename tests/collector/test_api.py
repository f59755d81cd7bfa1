"""The API in one process over a real store: what is unknown is null, what is old says so, errors are problems."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from collector.api import tracks
from collector.api.reads import OLD_S, Live, StoreReads
from collector.desk import Given, Wish
from collector.people.authorize import RIGHTS
from collector.store import orders
from collector.store.database import Store
from collector.tick.replay import replay
from tests.collector.api_rig import client_of, logged_in, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit, event, fix
from wire.hello import State
from wire.orders import OrderKind
from wire.records import Datum, EventKind, EventRecord, FixFlag, SealBit
from wire.topics import Up

Json = dict[str, Any]
SEAL_ID = "7591225008"


@dataclass(slots=True)
class Asked:
    """A collector's store and its API, asked by `get`."""

    centre: Centre
    live: Live
    client: httpx.AsyncClient

    async def get(self, path: str, **query: object) -> Json:
        answer = await self.client.get(path, params=_words(query))
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def problem(self, path: str, status: int, **query: object) -> Json:
        answer = await self.client.get(path, params=_words(query))
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        found: Json = answer.json()
        assert set(found) == {"type", "title", "status", "detail", "code"}
        assert found["status"] == status
        return found


def _words(query: Mapping[str, object]) -> dict[str, str] | None:
    return {key: str(value) for key, value in query.items()} or None  # {} would cut the path's own


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    store = await Store.open("sqlite://")
    centre = Centre(store)
    centre.now_ms = T0_MS + 1_000  # a second after the first fix: ages are counted from here
    live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
    api = served(store, StoreReads(store.readers, live, lambda: centre.now_ms), lambda: T0_MS)
    async with client_of(api, token=await logged_in(store, now_ms=T0_MS)) as client:
        yield Asked(centre, live, client)
    await store.close()


async def enrolled(asked: Asked, *names: str) -> list[FleetUnit]:
    units = [FleetUnit(unit_id=name) for name in names]
    for unit in units:
        await asked.centre.enrol(unit)
    return units


async def test_a_unit_that_never_spoke_is_unknown_and_not_at_zero(asked: Asked) -> None:
    await enrolled(asked, "uz-0001")
    row = await asked.get("/api/v1/units/uz-0001")
    unknown = (
        "at",
        "age_s",
        "old",
        "lat",
        "lon",
        "speed_m_s",
        "course_deg",
        "heard_at",
        "link",
        "chain",
    )
    assert {name: row[name] for name in unknown} == dict.fromkeys(unknown)
    assert (row["batches_parked"], row["batches_owed"], row["alerts_open"]) == (0, 0, 0)
    assert [key["revoked"] for key in row["keys"]] == [False]


async def test_a_position_is_shown_with_its_age_and_as_old_when_it_is(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    await asked.centre.hear(unit, unit.begin().envelope, unit.seal([fix(T0_MS + 500)]).envelope)
    row = (await asked.get("/api/v1/units"))["units"][0]
    assert (row["lat"], row["lon"]) == (41.3111, 69.2797)
    assert (row["speed_m_s"], row["course_deg"]) == (13.9, 87.0)
    assert row["at"] == "2026-11-22T06:46:40.500Z"
    assert (row["age_s"], row["old"], row["heard_age_s"]) == (2, False, 0)
    asked.centre.now_ms += OLD_S * 1_000
    row = (await asked.get("/api/v1/units"))["units"][0]
    assert (row["age_s"], row["old"]) == (OLD_S + 2, True)


async def test_a_clock_that_runs_ahead_gives_no_negative_age(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    await asked.centre.hear(unit, unit.begin().envelope, unit.seal([fix(T0_MS + 60_000)]).envelope)
    assert (await asked.get("/api/v1/units/uz-0001"))["age_s"] == 0


async def test_units_come_by_name_in_pages_and_by_part_of_a_name(asked: Asked) -> None:
    await enrolled(asked, *(f"uz-{number:04}" for number in range(5)), "kz-0001")
    names = []
    after: str | None = ""
    while after is not None:
        page = await asked.get("/api/v1/units", limit=2, after=after)
        names += [row["unit"] for row in page["units"]]
        after = page["more"]
    assert names == ["kz-0001", *(f"uz-{number:04}" for number in range(5))]
    found = await asked.get("/api/v1/units", q="0001")
    assert [row["unit"] for row in found["units"]] == ["kz-0001", "uz-0001"]
    assert (await asked.get("/api/v1/units", q="%"))["units"] == []


async def test_the_chain_and_what_waits_behind_a_gap_are_shown(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    first, lost, ahead = unit.begin(), unit.seal(), unit.seal()
    await asked.centre.hear(unit, first.envelope, ahead.envelope)
    await asked.centre.hear(unit, unit.hello(), what=Up.HELLO)
    row = await asked.get("/api/v1/units/uz-0001")
    assert row["chain"] == {"id": first.chain_id.hex(), "through": 0}
    assert (row["batches_parked"], row["batches_owed"]) == (1, 2)
    await asked.centre.hear(unit, lost.envelope)
    row = await asked.get("/api/v1/units/uz-0001")
    assert (row["chain"]["through"], row["batches_parked"]) == (2, 0)


async def test_a_track_is_in_order_cut_by_time_and_thinned_evenly(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    first = unit.begin()
    fixes = [fix(T0_MS + 1_000 * second, 413_000_000 + 10 * second) for second in range(60)]
    later = [fix(T0_MS + 1_000 * second, 413_000_000 + 10 * second) for second in range(60, 100)]
    await asked.centre.hear(
        unit, first.envelope, unit.seal(fixes).envelope, unit.seal(later).envelope
    )
    path = "/api/v1/units/uz-0001/track"
    span = {"from": T0_MS, "to": T0_MS + 99_000}
    whole = await asked.get(path, **span)
    assert [point["seq"] for point in whole["points"]] == list(range(1, 101))
    assert whole["left_out"] == 0
    cut = await asked.get(path, **{"from": T0_MS + 50_000, "to": "2026-11-22T06:47:50.000Z"})
    assert [point["seq"] for point in cut["points"]] == list(range(51, 72))
    thin = await asked.get(path, points_max=5, **span)
    assert [point["seq"] for point in thin["points"]] == [1, 25, 50, 75, 100]
    assert thin["left_out"] == 95
    assert thin["points"][0] == {
        "at": "2026-11-22T06:46:40.000Z",
        "said_at": None,
        "chain": first.chain_id.hex(),
        "seq": 1,
        "lat": 41.3,
        "lon": 69.2797,
        "speed_m_s": 13.9,
        "course_deg": 87.0,
        "hdop": 0.8,
        "alt_m": 455.0,
        "sats": 12,
    }


async def test_a_track_comes_as_columns_to_who_accepts_them(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    first = unit.begin()
    fixes = [fix(T0_MS + 1_000 * second, 413_000_000 + 10 * second) for second in range(60)]
    await asked.centre.hear(unit, first.envelope, unit.seal(fixes).envelope)
    answer = await asked.client.get(
        "/api/v1/units/uz-0001/track",
        params={"from": str(T0_MS + 10_000), "to": str(T0_MS + 50_000), "points_max": "5"},
        headers={"Accept": tracks.MEDIA_TYPE},
    )
    assert answer.headers["content-type"] == tracks.MEDIA_TYPE
    magic, _, size, n, unit_no, t0_ms, left_out, _ = tracks.HEADER.unpack_from(answer.content)
    assert (magic, n, unit_no, t0_ms, left_out) == (b"PLT1", 5, 1, T0_MS + 10_000, 36)
    assert len(answer.content) == size + 5 * 15


async def test_units_are_called_by_their_plates_and_found_by_them(asked: Asked) -> None:
    await enrolled(asked, "uz-0001", "uz-0002")
    assert await asked.centre.store.set_plate("uz-0001", "01 A 123 BC", now_ms=T0_MS)
    [row] = (await asked.get("/api/v1/units", q="01a123bc"))["units"]
    assert (row["unit"], row["no"], row["plate"]) == ("uz-0001", 1, "01 A 123 BC")
    assert (await asked.get("/api/v1/units/uz-0002"))["plate"] is None
    answer = await asked.client.post("/api/v1/units/labels", json={"numbers": [2, 1, 9, 2**40, -1]})
    assert answer.json()["labels"] == [
        {"no": 1, "unit": "uz-0001", "plate": "01 A 123 BC"},
        {"no": 2, "unit": "uz-0002", "plate": None},
    ]
    answer = await asked.client.post("/api/v1/units/labels", json={"numbers": [1] * 201})
    assert answer.status_code == 422


async def test_a_batch_whose_records_are_not_used_is_in_no_track(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    await asked.centre.hear(unit, unit.begin().envelope, unit.seal(raw=b"\xc0").envelope)
    found = await asked.get("/api/v1/units/uz-0001/track", **{"from": 0, "to": T0_MS * 2})
    assert found["points"] == []


async def test_what_was_refused_is_shown_with_its_reason(asked: Asked) -> None:
    stranger = FleetUnit(unit_id="uz-0009")
    await asked.centre.hear(stranger, stranger.begin().envelope, b"noise")
    rows = (await asked.get("/api/v1/refusals"))["refusals"]
    assert {row["reason"] for row in rows} == {"UnknownKey", "BadEnvelope"}
    assert all(row["topic"] == "plomba/1/up/uz-0009/batch" for row in rows)
    health = await asked.get("/api/v1/health")
    assert health["refused"] == {"UnknownKey": 1, "BadEnvelope": 1}


async def test_health_is_ok_while_the_way_in_is_open(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    assert await asked.get("/healthz") == {"ok": False, "build": "7"}
    health = await asked.get("/api/v1/health")
    assert (health["ok"], health["ingest_age_s"], health["units"]) == (False, None, 1)
    asked.live.connected, asked.live.since_ms = True, T0_MS
    await asked.centre.hear(unit, unit.begin().envelope)
    asked.centre.now_ms += 7_000
    health = await asked.get("/api/v1/health")
    assert (health["ok"], health["ingest_age_s"], health["build"]) == (True, 7, "7")
    assert health["broker"] == {
        "kind": "embedded",
        "connected": True,
        "since": "2026-11-22T06:46:40.000Z",
    }


async def test_health_is_not_ok_while_the_store_takes_nothing(asked: Asked) -> None:
    asked.live.connected = True
    assert (await asked.get("/api/v1/health"))["store"] == {"keeps": True, "since": None, "why": ""}
    asked.live.refuses("disk I/O error", T0_MS)
    asked.live.refuses("database or disk is full", T0_MS + 5_000)
    assert (await asked.get("/healthz"))["ok"] is False
    health = await asked.get("/api/v1/health")
    assert (health["ok"], health["broker"]["connected"]) == (False, True)
    assert health["store"] == {
        "keeps": False,
        "since": "2026-11-22T06:46:40.000Z",
        "why": "database or disk is full",
    }
    asked.live.keeps()
    assert (await asked.get("/healthz"))["ok"] is True


async def test_the_gateways_counters_are_told_where_there_is_one(asked: Asked) -> None:
    assert (await asked.get("/api/v1/health"))["gateway"] is None
    asked.live.gateway = lambda: {"open": 2, "acks": 40}
    assert (await asked.get("/api/v1/health"))["gateway"] == {"open": 2, "acks": 40}


async def test_a_hint_is_shown_and_the_stale_will_of_an_earlier_connection_is_not(
    asked: Asked,
) -> None:
    await enrolled(asked, "uz-0001")

    def say(connection: int, *, up: bool) -> None:
        state = State(up=up, boot_no=1, connection=bytes([connection]) * 8, at_ms=T0_MS)
        asked.live.hear("uz-0001", state)

    for connection, up, shown in [
        (1, True, "up"),
        (2, True, "up"),
        (1, False, "up"),
        (2, False, "down"),
    ]:
        say(connection, up=up)
        assert (await asked.get("/api/v1/units/uz-0001"))["link"] == shown


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/units/uz-0404", 404, "no_such_unit"),
        ("/api/v1/units/uz-0404/track", 404, "no_such_unit"),
        ("/api/v1/units/No_Unit", 422, "bad_parameter"),
        ("/api/v1/units?limit=0", 422, "bad_parameter"),
        ("/api/v1/alerts?view=theirs", 422, "bad_parameter"),
        ("/api/v1/units/uz-0404/track?from=yesterday", 422, "bad_time"),
        ("/api/v1/units/uz-0404/track?to=2026-01-01T00:00:00", 422, "bad_time"),
        ("/api/v1/nothing", 404, "no_such_route"),
        ("/docs", 404, "no_such_route"),
    ],
)
async def test_an_answer_that_is_none_is_a_problem_with_a_code(
    asked: Asked, path: str, status: int, code: str
) -> None:
    assert (await asked.problem(path, status))["code"] == code


async def test_a_unit_that_is_not_enrolled_says_how_to_enrol_it(asked: Asked) -> None:
    problem = await asked.problem("/api/v1/units/uz-0404", 404)
    assert problem["detail"] == "uz-0404 is not enrolled: plomba unit add uz-0404 --public-key HEX"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_is_only_read_cannot_be_written(asked: Asked, method: str) -> None:
    answer = await asked.client.request(method, "/api/v1/units")
    assert answer.status_code == 405
    assert answer.json()["code"] == "no_such_method"


async def test_a_page_that_asks_under_a_name_of_its_own_gets_nothing(asked: Asked) -> None:
    answer = await asked.client.get("/api/v1/units", headers={"host": "evil.example:8480"})
    assert answer.status_code == 421
    assert answer.json()["code"] == "wrong_host"
    for host in ("localhost:8480", "127.0.0.1:8480", "[::1]:8480"):
        answer = await asked.client.get("/api/v1/units", headers={"host": host})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


async def test_every_route_and_field_is_in_the_openapi_page(asked: Asked) -> None:
    page = await asked.get("/api/v1/openapi.json")
    assert page["info"]["title"] == "Plomba collector"
    said = {(method.upper(), path) for path, row in page["paths"].items() for method in row}
    assert said <= set(RIGHTS)
    unsaid = {path for _, path in set(RIGHTS) - said if path.startswith("/api/")}  # not: pages
    assert unsaid <= {"/api/v1/openapi.json"}
    for path in page["paths"].values():
        assert all(operation["summary"] for operation in path.values())


async def test_an_order_result_that_came_is_no_position(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    stop = event(EventKind.STOP, (1,))
    await asked.centre.hear(unit, unit.begin(more=[stop]).envelope)
    row = await asked.get("/api/v1/units/uz-0001")
    assert (row["lat"], row["heard_age_s"]) == (None, 0)


def said(kind: int, data: tuple[Datum, ...], t_ms: int) -> EventRecord:
    return EventRecord(kind=kind, t_ms=t_ms, mono_ms=1, data=data)


async def test_e11_what_a_start_said_before_it_knew_the_time_is_shown_at_its_time_and_said_so(
    asked: Asked,
) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    off_ms = 86_400_000 * 300
    known = int(SealBit.LOCKED | SealBit.ROPE_CUT)
    cut = (SEAL_ID, "jt701", known, int(SealBit.ROPE_CUT), 1, None, 90, 1, 1, b"$")
    floor_ms = T0_MS - off_ms
    boot = said(EventKind.BOOT, (1, 0, "test", 0, None), floor_ms)
    undated = replace(fix(floor_ms + 3_000), flags=1 | int(FixFlag.UNIT_CLOCK))
    clock = said(EventKind.CLOCK, (1, floor_ms + 10_000, T0_MS + 10_000, 3), T0_MS + 10_000)
    asked.centre.now_ms = T0_MS + 60_000
    opened = said(EventKind.SEAL, cut, floor_ms + 5_000)
    unit.quality = 0
    await asked.centre.hear(unit, unit.begin(more=[boot, undated, opened]).envelope)
    unit.quality = 3
    [row] = (await asked.get("/api/v1/alerts"))["rows"]
    assert (row["since"], row["said_at"]) == (floor_ms + 5_000, None)
    await asked.centre.hear(unit, unit.seal([clock, fix(T0_MS + 12_000)]).envelope)
    [row] = (await asked.get("/api/v1/alerts"))["rows"]
    assert (row["since"], row["said_at"]) == (T0_MS + 5_000, floor_ms + 5_000)
    book = asked.centre.ticker.rulebook
    again = [tick.findings async for tick in replay(asked.centre.store, lambda _: book)]
    told = [(one.code, one.at_ms) for findings in again for one in findings]
    assert ("TIME_RESTATED", T0_MS + 10_000) in told
    assert ("SEAL_OPEN_UNAUTHORISED", floor_ms + 5_000) in told
    points = (await asked.get("/api/v1/units/uz-0001/track"))["points"]
    assert [(point["at"], point["said_at"]) for point in points] == [
        ("2026-11-22T06:46:43.000Z", "2026-01-26T06:46:43.000Z"),
        ("2026-11-22T06:46:52.000Z", None),
    ]


async def test_e11_what_was_judged_by_the_restated_time_is_not_shifted_twice(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    off_ms = 86_400_000 * 300
    known = int(SealBit.LOCKED | SealBit.ROPE_CUT)
    cut = (SEAL_ID, "jt701", known, int(SealBit.ROPE_CUT), 1, None, 90, 1, 1, b"$")
    floor_ms = T0_MS - off_ms
    boot = said(EventKind.BOOT, (1, 0, "test", 0, None), floor_ms)
    opened = said(EventKind.SEAL, cut, floor_ms + 5_000)
    clock = said(EventKind.CLOCK, (1, floor_ms + 10_000, T0_MS + 10_000, 3), T0_MS + 10_000)
    await asked.centre.hear(unit, unit.begin(more=[boot, opened, clock]).envelope, step_ms=90_000)
    [row] = (await asked.get("/api/v1/alerts"))["rows"]
    assert (row["since"], row["said_at"]) == (T0_MS + 5_000, None)


# orders


async def wished(asked: Asked, kind: OrderKind, *data: Datum, **changes: object) -> Given:
    plain = Wish(unit_id="uz-0001", kind=kind, data=data, by="os:ali", why="as agreed")
    asked.centre.now_ms += 1_000
    async with asked.centre.store.write() as connection:
        given = await orders.give(connection, replace(plain, **changes), asked.centre.now_ms)  # type: ignore[arg-type]  # tests name fields of Wish
    assert isinstance(given, Given), given
    return given


async def test_orders_are_shown_newest_first_with_every_change(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    unlock = await wished(
        asked, OrderKind.UNLOCK, "s1", "officer-12", "26UZ1", (0, 0, 0, 9, 9, 9), zone="yard"
    )
    await wished(asked, OrderKind.SET_CONFIG, b"[sealer]\nrecords_min = 9\n")
    asked.centre.now_ms += 2_000
    await asked.centre.ticker.run([], asked.centre.now_ms)
    unit.clock_ms = asked.centre.now_ms - 500
    word = (unlock.order_id, unlock.kind, unlock.counter, 12, "40 m outside")
    stray = (b"x" * 16, 3, 1, 0, "")
    words = [event(EventKind.ORDER_RESULT, data, unit.clock_ms) for data in (word, stray)]
    await asked.centre.hear(unit, unit.begin(more=words).envelope)
    page = await asked.get("/api/v1/units/uz-0001/orders")
    assert [row["kind"] for row in page["orders"]] == ["set_config", "unlock"]
    assert (page["strays"], page["more"]) == (1, None)
    config, row = page["orders"]
    assert (config["until"], config["version"], config["state"]) == (None, 1, "SENT")
    assert (row["state"], row["result"], row["detail"]) == (
        "REFUSED",
        "OutsideArea",
        "40 m outside",
    )
    assert (row["corners"], row["zone"], row["seal"], row["sent"]) == (3, "yard", "s1", 1)
    assert [(act["act"], act["by"], act["why"]) for act in row["acts"]] == [
        ("give", "os:ali", "as agreed"),
        ("send", "", ""),
        ("refuse", "unit", "OutsideArea 40 m outside"),
    ]
    assert (row["acts"][2]["chain"], row["acts"][2]["seq"]) == (unit.chain_id.hex(), 1)
    assert row["said_at"] < row["settled_at"]


async def test_orders_come_in_pages(asked: Asked) -> None:
    await enrolled(asked, "uz-0001")
    given = [await wished(asked, OrderKind.REPORT_NOW, 0, bytes([n]) * 16) for n in range(5)]
    seen: list[str] = []
    after: str | None = ""
    for _ in range(3):
        page = await asked.get("/api/v1/units/uz-0001/orders", limit=2, after=after or "")
        seen += [row["id"] for row in page["orders"]]
        after = page["more"]
    assert after is None
    assert seen == [order.order_id.hex() for order in reversed(given)]
    odd = await asked.get("/api/v1/units/uz-0001/orders", after="7.xyz")
    assert len(odd["orders"]) == 5


async def test_settings_by_air_are_shown_with_their_text(asked: Asked) -> None:
    [unit] = await enrolled(asked, "uz-0001")
    for count in (3, 4):
        await wished(asked, OrderKind.SET_CONFIG, f"[sealer]\nrecords_min = {count}".encode())
    await asked.centre.hear(unit, unit.begin(more=[event(EventKind.CONFIG, (2, 2))]).envelope)
    found = await asked.get("/api/v1/units/uz-0001/configs")
    assert [(row["version"], row["state"], row["result"]) for row in found["configs"]] == [
        (2, "REFUSED", "RolledBack"),
        (1, "WITHDRAWN", None),
    ]
    assert found["configs"][0]["text"] == "[sealer]\nrecords_min = 4"


@pytest.mark.parametrize("what", ["orders", "configs"])
async def test_a_unit_that_is_not_enrolled_has_no_orders(asked: Asked, what: str) -> None:
    found = await asked.problem(f"/api/v1/units/uz-0009/{what}", 404)
    assert found["code"] == "no_such_unit"
