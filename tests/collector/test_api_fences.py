"""Zones, routes and thresholds by version: one person proposes, another puts it in force (CONSOLE section 2, DETECTION sections 3 and 5)."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from collector.api.shapes import FEATURES_MAX, RING_VERTICES_MAX, changes, flat, toml
from collector.app.rulebook import FIRST, Watched
from collector.people import Role
from collector.store import fences, schema
from collector.store.database import Store
from tests.collector.api_rig import CHANGE, House, client_of, logged_in
from tests.collector.fleet import T0_MS, Centre, FleetUnit

Json = dict[str, Any]
FENCES = "/api/v1/fences"
WHY = "the yard has moved"


def zone(name: str, *, x: float = 69.0, size: float = 0.01, **properties: object) -> Json:
    ring = [[x, 41.0], [x + size, 41.0], [x + size, 41.0 + size], [x, 41.0 + size], [x, 41.0]]
    return {
        "type": "Feature",
        "properties": {"id": name, **properties},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def road(name: str, **properties: object) -> Json:
    return {
        "type": "Feature",
        "properties": {"id": name, **properties},
        "geometry": {"type": "LineString", "coordinates": [[69.0, 41.0], [69.1, 41.0]]},
    }


def collection(*features: Json) -> Json:
    return {"type": "FeatureCollection", "features": list(features)}


@dataclass(slots=True)
class Office:
    """The API, and people in front of it."""

    house: House
    keys: int = 0
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.house.store

    async def sit(self, name: str, role: Role, **more: Any) -> None:  # noqa: ANN401  # of a session
        token = await logged_in(self.store, role, now_ms=self.house.now_ms, user_id=name, **more)
        self.clients[name] = client_of(self.house.api, token=token)

    async def get(self, path: str = "", who: str = "op") -> Json:
        answer = await self.clients[who].get(f"{FENCES}{path}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def post(self, path: str, said: Json, who: str) -> httpx.Response:
        self.keys += 1
        headers = {**CHANGE, "Idempotency-Key": f"k{self.keys}"}
        return await self.clients[who].post(f"{FENCES}{path}", json=said, headers=headers)

    async def propose(self, *features: Json, who: str = "op", **said: Any) -> Json:  # noqa: ANN401  # fields of a body
        body = {"reason": WHY, **said}
        if features:
            body["shapes"] = collection(*features)
        answer = await self.post("", body, who)
        assert answer.status_code == 201, answer.text
        found: Json = answer.json()
        return found

    async def approve(self, proposal: Json, who: str = "boss") -> httpx.Response:
        return await self.post(f"/{proposal['id']}/approve", {"reason": "seen"}, who)

    async def in_force(self, *features: Json, **said: Any) -> Json:  # noqa: ANN401  # as above
        answer = await self.approve(await self.propose(*features, **said))
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def refused(self, path: str, said: Json, who: str = "op") -> tuple[int, str]:
        answer = await self.post(path, said, who)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()["code"]

    async def faults(self, *features: Json, **said: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # as above
        answer = await self.post("", {"reason": WHY, "shapes": collection(*features), **said}, "op")
        assert answer.status_code == 422, answer.text
        return [(one["code"], one["where"]) for one in answer.json()["faults"]]


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with await Store.open("sqlite://") as store:
        office = Office(House(store))
        await office.sit("op", Role.OPERATOR)
        await office.sit("boss", Role.SUPERVISOR, step_up=True)
        yield office
        for client in office.clients.values():
            await client.aclose()


def names(page: Json) -> list[str]:
    return [one["properties"]["id"] for one in page["features"]]


# a proposal and another person's word


async def test_a_proposal_changes_nothing_until_another_person_approves(office: Office) -> None:
    proposal = await office.propose(zone("yard", kind="stop"), road("a380"))
    told = {key: proposal[key] for key in ("state", "by", "reason", "base", "version")}
    assert told == {"state": "waiting", "by": "op", "reason": WHY, "base": 0, "version": None}
    assert (await office.get())["version"] == 0
    answer = await office.approve(proposal)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["version"]) == ("approved", 1)
    page = await office.get()
    assert (page["version"], names(page)) == (1, ["yard", "a380"])
    assert (page["by"], page["approved_by"]) == ("op", "boss")


async def test_what_is_in_force_is_what_the_detectors_are_given(office: Office) -> None:
    await office.in_force(zone("yard"), road("a380"), thresholds={"stop_s": 400})
    watched = Watched(office.store)
    assert await watched.refresh()
    newest = watched.rulebook.versions[-1]
    assert (newest.version, newest.thresholds.stop_s) == (1, 400)
    assert set(newest.zones) == {"yard"}
    assert set(newest.routes) == {"a380"}


async def test_nobody_approves_his_own(office: Office) -> None:
    mine = await office.propose(zone("yard"), who="boss")
    assert await office.refused(f"/{mine['id']}/approve", {}, "boss") == (409, "same_person")
    assert (await office.get(f"/{mine['id']}"))["state"] == "waiting"


async def test_an_approval_needs_the_second_factor_and_a_supervisor_of_the_whole(
    office: Office,
) -> None:
    proposal = await office.propose(zone("yard"))
    await office.sit("tired", Role.SUPERVISOR)
    await office.sit("south", Role.SUPERVISOR, scope="uz.south", step_up=True)
    await office.sit("op2", Role.OPERATOR, step_up=True)
    path = f"/{proposal['id']}/approve"
    assert await office.refused(path, {}, "tired") == (403, "step_up")
    assert await office.refused(path, {}, "south") == (403, "not_whole")
    assert await office.refused(path, {}, "op2") == (403, "not_allowed")


async def test_a_proposal_is_decided_once(office: Office) -> None:
    proposal = await office.propose(zone("yard"))
    answer = await office.post(f"/{proposal['id']}/refuse", {"reason": "no such yard"}, "boss")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["state"], told["decided_by"], told["decided_reason"]) == (
        "refused",
        "boss",
        "no such yard",
    )
    for act in ("approve", "refuse"):
        assert await office.refused(f"/{proposal['id']}/{act}", {}, "boss") == (409, "decided")
    assert (await office.get())["version"] == 0


# what a version is made of


async def test_a_draft_lies_over_the_newest_version_and_leaves_the_rest(office: Office) -> None:
    await office.in_force(zone("a"), zone("b"), road("r"))
    await office.in_force(zone("b", size=0.02), withdraw=["a"])
    page = await office.get()
    assert sorted(names(page)) == ["b", "r"]
    [b] = [one for one in page["features"] if one["properties"]["id"] == "b"]
    assert b == zone("b", size=0.02)
    assert names(await office.get("?version=1")) == ["a", "b", "r"]  # as it was


async def test_two_proposals_of_other_shapes_do_not_undo_each_other(office: Office) -> None:
    await office.in_force(zone("a"))
    one, two = await office.propose(zone("b")), await office.propose(zone("c"))
    for proposal in (one, two):
        assert (await office.approve(proposal)).status_code == 200
    assert sorted(names(await office.get())) == ["a", "b", "c"]


async def test_a_proposal_of_what_was_changed_meanwhile_is_to_be_made_anew(office: Office) -> None:
    await office.in_force(zone("a"))
    old = await office.propose(zone("a", size=0.02))
    await office.in_force(zone("a", size=0.03))
    answer = await office.approve(old)
    assert (answer.status_code, answer.json()["code"]) == (409, "changed_since")
    assert "zone a is another since version 2" in answer.json()["detail"]
    seen_long_ago = {"reason": WHY, "base": 1, "shapes": collection(zone("a", size=0.04))}
    assert await office.refused("", seen_long_ago) == (409, "changed_since")


async def test_thresholds_change_like_fences_and_null_gives_back_what_is_built_in(
    office: Office,
) -> None:
    await office.in_force(thresholds={"stop_s": 400, "profile.eaeu": True})
    [row] = (await office.get("/versions"))["rows"]
    assert row["thresholds"] == {"stop_s": 400, "profile.eaeu": True}
    await office.in_force(thresholds={"stop_s": None})
    page = await office.get("/versions")
    assert page["rows"][0]["thresholds"] == {"profile.eaeu": True}
    assert page["built_in"]["stop_s"] == 300
    # What the detectors judge by, not what a replay of old tracks would take.
    assert page["built_in"]["built_ms"] == FIRST.thresholds.built_ms > 0


@pytest.mark.parametrize(
    ("features", "said", "expected"),
    [
        ([], {}, [("nothing", "")]),
        ([], {"withdraw": ["x"]}, [("unknown_shape", "withdraw")]),
        ([], {"thresholds": {"stop_z": 1}}, [("bad_threshold", "stop_z")]),
        ([], {"thresholds": {"stop_s": -1}}, [("bad_threshold", "stop_s")]),
        ([zone("a"), zone("a")], {}, [("same_id", "id")]),
        ([zone("a", size=1e-6)], {}, [("too_small", "geometry")]),
        ([zone("a", kind="moon")], {}, [("bad_property", "kind")]),
        ([road("r", stops=["x"])], {}, [("unknown_zone", "stops")]),
        ([{"type": "Feature", "properties": {"id": "a"}}], {}, [("not_geojson", "geometry")]),
    ],
)
async def test_a_draft_with_a_fault_is_told_by_the_readers_own_names(
    office: Office, features: Sequence[Json], said: Json, expected: list[tuple[str, str]]
) -> None:
    assert await office.faults(*features, **said) == expected
    assert (await office.get("/proposals"))["rows"] == []


async def test_the_bounds_of_a_request_are_narrower_than_those_of_a_file(office: Office) -> None:
    many = [zone(f"z{number}") for number in range(FEATURES_MAX + 1)]
    assert await office.faults(*many) == [("too_many", "")]
    ring = [[69 + number * 1e-6, 41] for number in range(RING_VERTICES_MAX + 1)]
    long = {"type": "LineString", "coordinates": ring}
    line = {"type": "Feature", "properties": {"id": "r"}, "geometry": long}
    assert await office.faults(line) == [("too_many_vertices", "coordinates")]
    holes = {"type": "Polygon", "coordinates": [ring[:5]] * 51}
    shape = {"type": "Feature", "properties": {"id": "z"}, "geometry": holes}
    assert await office.faults(shape) == [("too_many", "coordinates")]
    big = "x" * (1 << 20)
    assert await office.refused("", {"reason": big}) == (413, "too_large")


async def test_a_draft_is_read_while_it_is_drawn_and_nothing_of_it_is_kept(office: Office) -> None:
    bow = zone("yard")
    ring = bow["geometry"]["coordinates"][0]
    ring[1], ring[2] = ring[2], ring[1]
    answer = await office.post("/check", {"shapes": collection(bow)}, "op")
    assert answer.status_code == 422
    [fault] = answer.json()["faults"]
    assert (fault["feature"], fault["id"], fault["code"]) == (0, "yard", "invalid")
    answer = await office.post("/check", {"shapes": collection(zone("yard"))}, "op")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["base"], found["warnings"]) == (0, [])
    assert [(one["kind"], one["id"]) for one in found["changed"]] == [("zone", "yard")]
    assert (await office.get("/proposals"))["rows"] == []
    async with office.store.read() as connection:
        assert list(await connection.execute(select(schema.act))) == []


async def test_a_zone_that_a_route_names_is_not_taken_away_under_it(office: Office) -> None:
    await office.in_force(zone("yard"), road("r", to="yard"))
    assert await office.faults(withdraw=["yard"]) == [("unknown_zone", "withdraw")]
    await office.in_force(withdraw=["yard", "r"])


# what is kept


async def test_each_change_is_kept_with_all_that_a_leaf_needs(office: Office) -> None:
    await office.in_force(zone("a"), road("r"), thresholds={"stop_s": 400})
    await office.in_force(withdraw=["a"])
    newest, first = (await office.get("/versions"))["rows"]
    assert [(one["kind"], one["id"]) for one in first["changed"]] == [
        ("route", "r"),
        ("rule", "thresholds"),
        ("zone", "a"),
    ]
    assert all(len(one["sha256"]) == 64 for one in first["changed"])
    assert newest["changed"] == [{"kind": "zone", "id": "a", "sha256": None, "is_new": False}]
    assert (newest["by"], newest["approved_by"]) == ("op", "boss")
    acts = [one for one in await office.house.acts() if one[1].startswith("shapes-")]
    assert acts == [
        ("op", "shapes-propose", "fences/1"),
        ("boss", "shapes-approve", "fences/1"),
        ("op", "shapes-propose", "fences/2"),
        ("boss", "shapes-approve", "fences/2"),
    ]


async def test_what_was_not_there_before_is_new_and_else_it_is_changed(office: Office) -> None:
    await office.in_force(zone("a"), road("r"), thresholds={"stop_s": 400})
    await office.in_force(zone("a", size=0.04), zone("b"))
    await office.in_force(withdraw=["a"])
    await office.in_force(zone("a"), road("r", legal_m=900))
    rows = (await office.get("/versions"))["rows"]
    said = [{one["id"]: one["is_new"] for one in row["changed"]} for row in reversed(rows)]
    assert said == [
        {"r": True, "thresholds": False, "a": True},
        {"a": False, "b": True},
        {"a": False},
        {"r": False, "a": True},
    ]


async def test_the_machines_own_way_goes_past_two_persons_and_is_said_in_the_audit(
    office: Office,
) -> None:
    text = json.dumps(collection(zone("a")))
    nothing = json.dumps(collection())
    await office.store.import_rules(
        zones=text,
        routes=nothing,
        thresholds="",
        now_ms=T0_MS,
        by="os:root",
        changed=changes(None, text, nothing, ""),
    )
    [row] = (await office.get("/versions"))["rows"]
    assert (row["by"], row["approved_by"]) == ("os:root", None)
    assert [one["id"] for one in row["changed"]] == ["a"]
    async with office.store.read() as connection:
        [act] = await connection.execute(
            select(schema.act).where(schema.act.c.act == "rules-import")
        )
    assert (act.who, act.role, act.obj, act.detail) == (
        "os:root",
        fences.MACHINE,
        "rules/1",
        "zone/a",
    )


async def test_obeyed_is_the_version_by_which_the_newest_tick_was_judged(office: Office) -> None:
    assert (await office.get())["obeyed"] is None
    await office.in_force(zone("a"))
    centre, unit = Centre(office.store), FleetUnit(unit_id="uz-01")
    await centre.enrol(unit)
    watched = Watched(office.store)
    await centre.hear(unit, unit.begin().envelope)
    assert (await office.get())["obeyed"]["version"] == 0  # the ticker has not looked yet
    await watched.refresh()
    centre.ticker.rulebook = watched.rulebook
    await centre.hear(unit, unit.seal().envelope)
    assert (await office.get())["obeyed"]["version"] == 1
    assert (await office.get("/versions"))["obeyed"]["version"] == 1


# who sees what


async def test_a_shape_of_a_foreign_unit_is_neither_seen_nor_drawn(office: Office) -> None:
    async with office.store.write() as connection:
        for unit_id, scope in (("uz-01", "uz.south"), ("uz-02", "uz.north")):
            await connection.execute(
                schema.unit.insert().values(unit_id=unit_id, enrolled_ms=T0_MS, scope=scope)
            )
    await office.sit("south", Role.OPERATOR, scope="uz.south")
    foreign = await office.propose(road("r", unit="uz-02"))
    assert (await office.get("/proposals", "south"))["rows"] == []
    answer = await office.clients["south"].get(f"{FENCES}/{foreign['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_proposal")
    said = {"reason": WHY, "shapes": collection(road("s", unit="uz-02"))}
    assert await office.refused("", said, "south") == (404, "no_such_unit")
    await office.approve(foreign)
    said = {"reason": WHY, "withdraw": ["r"]}
    assert await office.refused("", said, "south") == (404, "no_such_unit")
    await office.propose(road("s", unit="uz-01"), who="south")


async def test_auditor_and_admin_read_and_an_officer_does_not(office: Office) -> None:
    await office.propose(zone("a"))
    for name, role in (("eye", Role.AUDITOR), ("root", Role.ADMIN)):
        await office.sit(name, role, step_up=True)
        for path in ("", "/versions", "/proposals", "/1"):
            await office.get(path, name)
        assert await office.refused("", {"reason": WHY}, name) == (403, "not_allowed")
    await office.sit("road", Role.OFFICER)
    assert (await office.clients["road"].get(FENCES)).status_code == 403


async def test_so_many_wait_and_no_more(office: Office) -> None:
    async with office.store.write() as connection:
        for _ in range(fences.WAITING_MAX):
            await fences.propose(
                connection,
                by="op",
                why=WHY,
                base=0,
                body='{"features":[],"withdraw":[],"thresholds":null}',
                now_ms=T0_MS,
            )
    said = {"reason": WHY, "shapes": collection(zone("a"))}
    assert await office.refused("", said) == (409, "too_many_wait")
    first = await office.get("/proposals?state=waiting")
    assert len(first["rows"]) == 20
    assert (await office.get(f"/proposals?after={first['more']}"))["rows"][0]["id"] == 80


def test_thresholds_are_written_as_a_file_would_say_them() -> None:
    table = {"stop_s": 400, "words": ["a", 'b"']}
    assert toml({**table, "profile": {"eaeu": True}}) == (
        'stop_s = 400\nwords = ["a", "b\\""]\n[profile]\neaeu = true\n'
    )
    assert flat({**table, "profile": {"eaeu": True}}) == {**table, "profile.eaeu": True}
