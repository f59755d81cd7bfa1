"""A centre with something of everything, once in the south and once in the north: for tests that walk over every route."""

from dataclasses import dataclass, field

from sqlalchemy import select

from collector.api.shapes import Draft
from collector.app.trying import here
from collector.people import Role
from collector.people.sessions import Kind, opened
from collector.store import JourneyRow, fences, people, schema, shifts
from collector.store.database import Store
from collector.store.incidents import open_case
from tests.collector.api_rig import House, account
from tests.collector.fleet import Centre, FleetUnit, event, fix
from tests.collector.test_api_fences import zone
from tests.wire.keys import private_key
from wire import handover
from wire.records import EventKind

SOUTH, NORTH = "uz.south", "uz.north"
DRAFT = Draft(features=(zone("yard"),))


@dataclass(slots=True, kw_only=True)
class Town:
    """`things` by scope: what a path's or a body's field may name there."""

    house: House
    centre: Centre
    things: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.house.store


async def build(store: Store) -> Town:
    """Two of each."""
    centre = Centre(store)
    town = Town(house=House(store, rehearse=lambda job: here(store, job)), centre=centre)
    for at, scope in enumerate((SOUTH, NORTH)):
        town.things[scope] = await _part(town, at, scope)
    town.house.now_ms = centre.now_ms
    return town


async def _part(town: Town, at: int, scope: str) -> dict[str, str]:
    store, centre = town.store, town.centre
    unit = FleetUnit(unit_id=f"uz-000{at}")
    await centre.enrol(unit)
    number = await store.number_of(unit.unit_id)
    assert number is not None
    async with store.write() as connection:
        assert await people.set_unit_scope(connection, unit.unit_id, scope)
    journey = JourneyRow(
        id=f"26UZ00000172600{at}J6",
        unit_id=unit.unit_id,
        since_ms=0,
        tractor=f"01A00{at}BC",
        seals=(f"7591225010{at}",),
    )
    assert await store.add_journey(journey)
    card = event(
        EventKind.ACCESS, (f"7591225010{at}", "jt701", "card", 0, 0, "9", None, 1, 0, None)
    )
    sealed = unit.begin(more=[card, fix(unit.clock_ms)])
    await centre.hear(unit, sealed.envelope, unit.seal().envelope)
    await account(store, f"anna-{at}", Role.OPERATOR, now_ms=centre.now_ms, scope=scope)
    session = opened(
        f"a session in {scope}",
        Kind.CONSOLE,
        user_id=f"anna-{at}",
        role=Role.OPERATOR,
        scope=scope,
        desk=f"desk-{at}",
        now_ms=centre.now_ms,
    )
    async with store.write() as connection:
        alert = schema.alert.c
        found = await connection.execute(select(alert.id).where(alert.unit == unit.unit_id))
        [alert_id] = found.scalars().all()
        case = await open_case(connection, alert_id, f"anna-{at}", centre.now_ms)
        assert case is not None
        await people.put_desk(
            connection,
            desk_id=f"desk-{at}",
            name="",
            scope=scope,
            fallback="",
            by="t",
            now_ms=centre.now_ms,
        )
        await people.open_session(connection, session, address="t")
        page: dict[str, list[str]] = {"open": [], "shelved": [], "out": []}
        signed = await shifts.sign(
            connection,
            f"desk-{at}",
            scope,
            by=f"anna-{at}",
            note="",
            page=page,
            now_ms=centre.now_ms,
        )
        draft = await fences.propose(
            connection, by=f"anna-{at}", why="t", base=0, body=DRAFT.text(), now_ms=centre.now_ms
        )
        assert number == case.number == signed.number == draft == at + 1  # one name for them all
    said = handover.make(
        unit_number=number,
        batch_no=sealed.batch_no,
        head=sealed.head,
        at_s=centre.now_ms // 1_000,
        sign=private_key(f"unit {unit.unit_id}").sign,
    )
    return {
        "unit_id": unit.unit_id,
        "unit": unit.unit_id,
        "number": str(number),
        "alert_id": alert_id.hex(),
        "alert": alert_id.hex(),
        "alerts": alert_id.hex(),
        "batch": f"{unit.unit_id}.{sealed.chain_id.hex()}.0",
        "code": handover.url("x", said).rpartition("/")[2],
        "user_id": f"anna-{at}",
        "user": f"anna-{at}",
        "desk": f"desk-{at}",
        "session": session.id.hex(),
        "name": "csv",
    }
