"""What stands behind a row: a batch's hash, links, receipt and bytes, and who had the seal (CONSOLE section 2, EVIDENCE section 4)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from collector.api.reads import Live, StoreReads
from collector.people import Role
from collector.store import proofs, roadside, schema
from collector.store.database import Store
from collector.store.roadside import Report
from tests.collector.api_rig import client_of, logged_in, served
from tests.collector.fleet import T0_MS, Centre, FleetUnit, Sealed
from tests.collector.test_api_alerts import refusal

Json = dict[str, Any]
EVIDENCE = "/api/v1/evidence"


@dataclass(slots=True)
class Court:
    centre: Centre
    client: httpx.AsyncClient
    foreign: httpx.AsyncClient
    sealed: list[Sealed]

    def name(self, number: int) -> str:
        return f"uz-01.{self.sealed[number].chain_id.hex()}.{number}"

    async def look(self, number: int) -> Json:
        answer = await self.client.get(f"{EVIDENCE}/{self.name(number)}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def tamper(self, number: int, **values: object) -> None:
        batch = schema.batch
        async with self.centre.store.write() as connection:
            await connection.execute(
                update(batch).where(batch.c.batch_no == number).values(**values)
            )


@pytest.fixture
async def court() -> AsyncIterator[Court]:
    async with await Store.open("sqlite://") as store:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        await centre.enrol(unit)
        sealed = [unit.begin(more=[refusal("7591225018")]), *(unit.seal() for _ in range(5))]
        await centre.hear(unit, *(one.envelope for one in sealed))

        def now_ms() -> int:
            return centre.now_ms

        live = Live(build="7", broker_kind="embedded", started_ms=T0_MS)
        api = served(store, StoreReads(store.readers, live, now_ms), now_ms)
        mine = await logged_in(store, Role.AUDITOR, now_ms=now_ms(), user_id="eye")
        other = await logged_in(
            store, Role.SUPERVISOR, now_ms=now_ms(), user_id="south", scope="uz.south"
        )
        async with client_of(api, token=mine) as client, client_of(api, token=other) as foreign:
            yield Court(centre, client, foreign, sealed)


async def test_a_batch_shows_its_hash_its_neighbours_and_that_its_receipt_was_given(
    court: Court,
) -> None:
    found = await court.look(1)
    assert (found["state"], found["broken"]) == ("PENDING", [])
    assert found["env"] == sha256(court.sealed[1].envelope).hexdigest()
    assert found["head"] == court.sealed[1].head.hex()
    assert sha256(bytes.fromhex(found["key"])).hexdigest().startswith(found["kid"])
    assert found["unit_no"] == 1
    assert found["before"] == {
        "batch": court.name(0),
        "head": court.sealed[0].head.hex(),
        "linked": True,
    }
    assert (found["after"]["batch"], found["after"]["linked"]) == (court.name(2), True)
    assert (await court.look(0))["before"] is None
    assert (await court.look(5))["after"] is None


async def test_without_a_log_it_is_unlogged_after_a_minute_and_never_proven(court: Court) -> None:
    court.centre.now_ms += 60_000
    assert (await court.look(1))["state"] == "PENDING"
    court.centre.now_ms += 1
    found = await court.look(1)
    assert found["state"] == "UNLOGGED"
    assert "no public log" in found["log"]


async def test_whatever_was_changed_in_the_store_is_broken_by_name(court: Court) -> None:
    whole = court.sealed[1].envelope
    await court.tamper(1, envelope=bytes((*whole[:-1], whole[-1] ^ 1)))
    assert (await court.look(1))["broken"] == ["signature"]
    await court.tamper(1, envelope=court.sealed[2].envelope)
    assert (await court.look(1))["broken"] == ["head", "row", "link"]
    await court.tamper(1, envelope=whole[:-1])
    found = await court.look(1)
    assert (found["state"], found["broken"]) == ("BROKEN", ["envelope"])
    assert (await court.look(0))["broken"] == ["link_after"]
    await court.tamper(1, envelope=whole, head=bytes(32))
    assert (await court.look(1))["broken"] == ["head", "link_after"]


async def test_the_signed_bytes_come_as_they_came_and_each_look_is_kept(court: Court) -> None:
    answer = await court.client.get(f"{EVIDENCE}/{court.name(1)}/envelope")
    assert (answer.status_code, answer.content) == (200, court.sealed[1].envelope)
    assert answer.headers["content-type"] == "application/cose"
    await court.look(1)
    async with court.centre.store.read() as connection:
        reads = list(await connection.execute(select(schema.read)))
    told = [(row.who, row.purpose, row.obj) for row in reads]
    assert told == [
        ("eye", "evidence", f"evidence/{court.name(1)}/envelope"),
        ("eye", "evidence", f"evidence/{court.name(1)}"),
    ]


async def test_a_foreign_or_unknown_batch_is_not_there(court: Court) -> None:
    for path in (court.name(1), f"{court.name(1)}/envelope"):
        assert (await court.foreign.get(f"{EVIDENCE}/{path}")).status_code == 404
    for name in (court.name(1)[:-1] + "9", f"uz-02{court.name(1)[5:]}"):
        assert (await court.client.get(f"{EVIDENCE}/{name}")).status_code == 404
    assert (await court.client.get(f"{EVIDENCE}/uz-01.xyz.1")).status_code == 422
    assert (await court.foreign.get("/api/v1/units/uz-01/custody")).status_code == 404


async def test_each_record_is_found_in_the_batch_that_holds_it(court: Court) -> None:
    chain_id = court.sealed[0].chain_id
    holds: dict[tuple[bytes, int], int] = {}
    first = 0
    for one in court.sealed:
        holds |= {(chain_id, seq): one.batch_no for seq in range(first, one.last_seq + 1)}
        first = one.last_seq + 1
    asked = [
        *holds,
        (chain_id, first),
        (bytes(16), 0),
    ]  # one that is not there, a chain that is not
    async with court.centre.store.read() as connection:
        found = await proofs.batches_of(connection, 1, asked)
    assert {record: row.batch_no for record, row in found.items()} == holds


async def test_custody_tells_what_was_found_and_what_people_did_with_the_batch_behind_it(
    court: Court,
) -> None:
    store = court.centre.store
    async with store.write() as connection:
        await roadside.report(
            connection,
            Report(
                key="k",
                who="officer",
                unit_no=1,
                journey="",
                matches=True,
                seen="green",
                made_ms=1,
            ),
            court.centre.now_ms,
        )
    answer = await court.client.get("/api/v1/units/uz-01/custody")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    told = {(one["what"], one["code"], one["by"]) for one in page["events"]}
    assert told >= {("report", "matches", "officer"), ("found", "SEAL_ACCESS_REFUSED", None)}
    [found] = [one for one in page["events"] if one["code"] == "SEAL_ACCESS_REFUSED"]
    assert (found["batch"], found["state"]) == (court.name(0), "PENDING")
    assert found["data"]["seal"] == "7591225018"
    assert not page["cut"]
    times = [one["at"] for one in page["events"]]
    assert times == sorted(times, reverse=True)
    none = await court.client.get("/api/v1/units/uz-01/custody?from=1&to=2")
    assert none.json()["events"] == []
