"""What the store knows of one truck: under which numbers it is found, how its seals stand, what its code says."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, func, select, update

from collector.customs.ids import key_of
from collector.customs.verdict import Code, Colour, Facts, Limits, SealLife, verdict
from collector.detect.rules import Journey, Rulebook
from collector.store import JourneyRow, names, roadside, schema
from collector.store.database import Added, Store
from collector.store.dialect import _STEPS
from collector.store.handovers import Weighed, weigh
from collector.store.names import Hit
from collector.store.roadside import Report
from collector.store.standing import Standing, standing
from tests.collector.fleet import T0_MS, Centre, FleetUnit, Sealed, event, fix
from tests.wire.keys import private_key
from wire import Refused, handover
from wire.handover import Statement
from wire.records import Datum, EventKind, EventRecord, SealBit as Bit

SEAL = "UZ-000123"
MRN = "26UZ000001726001J6"
ALL = int(Bit(0x3FFF))
CLOSED = int(Bit.LOCKED | Bit.ROPE_IN | Bit.COVER_CLOSED | Bit.DOOR_CLOSED)
CUT = int(Bit.ROPE_CUT | Bit.COVER_CLOSED)
MIN = 60_000


def report(
    t_ms: int, true: int = CLOSED, *, seal: str = SEAL, battery: int = 80, cause: int = 1
) -> EventRecord:
    data: tuple[Datum, ...] = (seal, "jt701", ALL, true, 0, None, battery, 7, cause, None)
    return event(EventKind.SEAL, data, t_ms)


class Post:
    """A centre, one truck on a journey, and an officer who asks."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.centre = Centre(store)
        self.centre.now_ms = T0_MS
        self.unit = FleetUnit(unit_id="uz-0042")
        self.number = 0

    async def begin(self, **journey: object) -> None:
        await self.centre.enrol(self.unit)
        number = await self.store.number_of("uz-0042")
        assert number is not None
        self.number = number
        await self.on(**journey)
        await self.hear(self.unit.begin())

    async def on(self, **journey: object) -> None:
        """On a journey, if any is said."""
        if not journey:
            return
        row = JourneyRow(**{"id": MRN, "unit_id": "uz-0042", "since_ms": 0, **journey})  # type: ignore[arg-type]  # a test says what it likes
        assert await self.store.add_journey(row)
        rules = self.centre.ticker.rulebook
        now = Journey(id=row.id, unit=row.unit_id, since_ms=0, sealed=row.sealed, seals=row.seals)
        self.centre.ticker.rulebook = Rulebook(
            versions=rules.versions, journeys={"uz-0042": (now,)}
        )

    async def hear(self, *sealed: Sealed) -> None:
        await self.centre.hear(self.unit, *(one.envelope for one in sealed), step_ms=1_000)
        await self.centre.settle()

    async def says(self, *true: int, seal: str = SEAL, battery: int = 80) -> None:
        """A batch with a fix and the seal's reports of now, heard now."""
        now_ms = self.centre.now_ms
        self.unit.clock_ms = now_ms
        records = [fix(now_ms)]
        reports = [report(now_ms, one, seal=seal, battery=battery) for one in true]
        await self.hear(self.unit.seal([*records, *reports]))

    async def stands(self) -> Standing:
        async with self.store.read() as connection:
            found = await standing(connection, self.number, self.centre.now_ms)
        assert found is not None
        return found

    async def facts(self) -> Facts:
        return (await self.stands()).facts

    async def colour(self) -> tuple[str, list[str]]:
        judged = verdict(await self.facts(), Limits(), self.centre.now_ms)
        return judged.colour.value, [one.code for one in judged.reasons]

    async def find(self, text: str) -> list[Hit]:
        async with self.store.read() as connection:
            return await names.search(connection, key_of(text), now_ms=self.centre.now_ms)

    async def weighs(self, code: Statement) -> Weighed | None:
        async with self.store.read() as connection:
            return await weigh(connection, code)

    def code(self, of: Sealed | None = None, *, head: bytes | None = None) -> Statement:
        """What the unit's page shows in its QR."""
        sealed = of or self.unit.newest
        said = handover.make(
            unit_number=self.number,
            batch_no=sealed.batch_no,
            head=sealed.head if head is None else head,
            at_s=self.centre.now_ms // 1_000,
            sign=private_key("unit uz-0042").sign,
        )
        read = handover.read(handover.url("x", said).rpartition("/")[2])
        assert not isinstance(read, Refused)
        return read


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with await Store.open("sqlite://") as store:
        yield Post(store)


# numbers


async def test_a_truck_is_found_by_each_of_its_numbers_however_they_are_written(post: Post) -> None:
    await post.begin(
        tractor="01A123BC", trailer="014567AA", containers=("MSKU9070323",), seals=(SEAL,)
    )
    for typed, kind in (
        ("01 а 123 вс", "plate"),
        ("01-4567-AA", "trailer"),
        ("msku 907032-3", "container"),
        ("uzooo123", "seal"),
        (MRN.lower(), "journey"),
        ("UZ 0042", "unit"),
    ):
        assert [(hit.unit_id, hit.kind) for hit in await post.find(typed)] == [("uz-0042", kind)]
    assert await post.find("01A123BD") == []


async def test_a_journey_of_before_names_nothing(post: Post) -> None:
    await post.begin(tractor="01A123BC")
    await post.on(id="J2", since_ms=5, tractor="10B456CD")
    assert await post.find("01A123BC") == []
    assert [hit.shown for hit in await post.find("10B456CD")] == ["10B456CD"]
    await post.on(id="J2", since_ms=6, tractor="10B456CD", state="cleared")
    assert await post.find("10B456CD") == []
    assert (await post.facts()).journey == ""


async def test_the_plate_of_a_unit_serves_until_a_journey_names_another_truck(post: Post) -> None:
    await post.begin()
    assert await post.store.set_plate("uz-0042", "40C789DE", now_ms=1)
    assert (await post.stands()).subject.plate == "40C789DE"
    assert len(await post.find("40C789DE")) == 1
    await post.on(tractor="01A123BC")
    assert (await post.stands()).subject.plate == "01A123BC"
    assert await post.find("40C789DE") == []
    assert not await post.store.set_plate("uz-0043", "40C789DE", now_ms=1)
    await post.store.set_plate("uz-0042", "", now_ms=2)
    async with post.store.read() as connection:
        known = schema.known_as.c
        plates = select(func.count()).where(known.kind == "plate", known.journey_no == 0)
        assert (await connection.execute(plates)).scalar_one() == 0


async def test_a_seal_that_was_only_heard_is_found_where_it_was_heard_last(post: Post) -> None:
    await post.begin()
    await post.says(CLOSED)
    assert [(hit.unit_id, hit.kind) for hit in await post.find(SEAL)] == [("uz-0042", "heard")]
    other = FleetUnit(unit_id="uz-0043")
    await post.centre.enrol(other)
    other.clock_ms = post.centre.now_ms + 10_000
    begun = other.begin(more=[report(other.clock_ms)])
    await post.centre.hear(other, begun.envelope, step_ms=20_000)
    assert [hit.unit_id for hit in await post.find(SEAL)] == ["uz-0043"]


async def test_journeys_come_all_or_none(post: Post) -> None:
    await post.begin()
    row = JourneyRow(id="J", unit_id="uz-0042", since_ms=1)
    assert await post.store.add_journeys([row, replace(row, unit_id="uz-0099")]) == 2
    assert await post.store.journeys() == ()
    assert await post.store.add_journeys([row]) == 0
    assert await post.store.journeys() == (row,)


# facts


async def test_a_truck_in_order_is_green(post: Post) -> None:
    await post.begin(tractor="01A123BC", seals=(SEAL,))
    await post.says(CLOSED)
    assert await post.colour() == ("green", [])
    found = await post.stands()
    [seal] = found.facts.seals
    assert (seal.seal_id, seal.battery_percent, seal.life) == (SEAL, 80, SealLife.SEALED)
    assert seal.reported_ms == found.facts.fix_ms
    assert found.subject.journey == MRN
    post.centre.now_ms += 15 * MIN
    assert (await post.colour())[0] == "grey"


async def test_a_seal_that_is_cut_is_red(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    await post.says(CUT)
    assert await post.colour() == ("red", ["rope_cut"])
    [seal] = (await post.facts()).seals
    assert seal.life is SealLife.OPEN_BAD
    assert seal.opened_ms is not None


@pytest.mark.parametrize("what", ["envelope", "signature", "head"])
async def test_a_row_that_was_changed_in_the_store_is_red_and_its_word_counts_for_nothing(
    post: Post, what: str
) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    batch = schema.batch
    async with post.store.write() as connection:
        newest = select(func.max(batch.c.batch_no)).scalar_subquery()
        [row] = await connection.execute(select(batch).where(batch.c.batch_no == newest))
        envelope = row.envelope
        changed = {
            "envelope": {"envelope": b"\0" * 40},
            "signature": {"envelope": envelope[:-1] + bytes((envelope[-1] ^ 1,))},
            "head": {"head": bytes(32)},
        }[what]
        await connection.execute(
            update(batch).where(batch.c.batch_no == row.batch_no).values(**changed)
        )
    colour, codes = await post.colour()
    assert (colour, codes[0]) == ("red", "broken")
    assert (await post.facts()).broken_ms == row.rx_ms


async def test_a_unit_whose_keys_are_all_out_of_force_is_believed_no_more(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    assert (await post.colour())[0] == "green"
    async with post.store.write() as connection:
        await connection.execute(update(schema.unit_key).values(revoked_ms=post.centre.now_ms))
    assert await post.colour() == ("red", ["key_revoked"])


async def test_an_alarm_that_came_ahead_of_the_backlog_is_red_at_once(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    post.unit.seal()  # on its way
    cut = post.unit.seal([report(post.unit.clock_ms, CUT)])
    await post.hear(cut)
    colour, codes = await post.colour()
    assert (colour, codes[0]) == ("red", "alert")


async def test_another_seal_than_declared_is_red_after_its_second_report(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    await post.says(CLOSED, seal="KZ-9")
    assert await post.colour() == ("green", [])  # a truck that passed by
    await post.says(CLOSED, seal="KZ-9")
    assert (await post.colour())[1] == ["foreign_seal"]


async def test_a_declared_seal_that_says_nothing_is_unknown(post: Post) -> None:
    await post.begin(seals=(SEAL, "UZ-000124"))
    await post.says(CLOSED)
    assert await post.colour() == ("grey", ["seal_unheard"])


async def test_a_unit_without_a_journey_is_looked_at(post: Post) -> None:
    await post.begin()
    await post.says()
    assert await post.colour() == ("grey", ["no_seal"])
    await post.says(CLOSED)
    assert await post.colour() == ("amber", ["no_journey"])


async def test_a_clock_that_runs_ahead_makes_nothing_young(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    ahead_ms = post.centre.now_ms + 60 * MIN
    await post.hear(post.unit.seal([fix(ahead_ms), report(ahead_ms)]))
    facts = await post.facts()
    assert facts.fix_ms is not None
    assert facts.fix_ms <= post.centre.now_ms
    assert facts.seals[0].reported_ms is not None
    assert facts.seals[0].reported_ms <= post.centre.now_ms


async def test_nothing_is_green_by_what_a_clock_of_ours_said_that_was_set_back_since(
    post: Post,
) -> None:
    await post.begin(seals=(SEAL,))
    post.centre.now_ms += 1_440 * MIN
    await post.says(CLOSED)
    assert (await post.colour())[0] == "green"
    post.centre.now_ms -= 1_440 * MIN
    colour, codes = await post.colour()
    assert (colour, codes[0]) == ("grey", "centre_deaf")
    assert {"no_fix", "seal_unheard"} <= set(codes)


async def test_what_a_unit_told_before_it_knew_the_time_is_timed_by_what_it_said_since(
    post: Post,
) -> None:
    await post.begin(seals=(SEAL,))
    now_ms = post.centre.now_ms
    told = report(now_ms)
    early = replace(told, t_ms=1_767_225_600_000)  # the floor of its clock
    post.unit.clock_ms, post.unit.quality = now_ms, 0
    await post.hear(post.unit.seal([early]))
    assert (await post.colour())[1][-1] == "seal_silent"
    post.unit.clock_ms, post.unit.quality = post.centre.now_ms, 2
    await post.hear(post.unit.seal())
    [seal] = (await post.facts()).seals
    assert seal.reported_ms == now_ms
    post.unit.boot_no = 2  # another start: its steady clock says nothing of that one
    post.unit.quality = 0
    post.unit.clock_ms = post.centre.now_ms
    await post.hear(post.unit.seal([early]))
    [seal] = (await post.facts()).seals
    assert seal.reported_ms == now_ms


async def test_what_lock_and_rope_said_apart_is_put_together(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    now_ms = post.centre.now_ms
    data: tuple[Datum, ...] = (SEAL, "jt701", int(Bit.ROPE_IN), int(Bit.ROPE_IN))
    more: tuple[Datum, ...] = (0, None, None, 8, 2, None)
    await post.hear(post.unit.seal([event(EventKind.SEAL, data + more, now_ms)]))
    [seal] = (await post.facts()).seals
    assert seal.says(Bit.LOCKED) is True
    assert seal.battery_percent == 80


async def test_a_gap_is_what_the_centre_lacks(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    post.unit.seal()
    post.unit.seal()
    await post.hear(post.unit.seal())
    facts = await post.facts()
    assert facts.lacks == 2
    assert facts.lacks_ms <= post.centre.now_ms


async def test_two_histories_are_red_until_the_unit_has_a_new_key(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    last = post.unit.sealed.pop()
    await post.says(CLOSED)  # another batch under the same number
    assert post.unit.newest.batch_no == last.batch_no
    assert (await post.colour())[0] == "red"
    assert (await post.facts()).forked_ms is not None
    async with post.store.write() as connection:
        await connection.execute(schema.unit_key.update().values(added_ms=post.centre.now_ms + 1))
    assert (await post.facts()).forked_ms is None


async def test_a_number_that_another_journey_claims_too_is_told(post: Post) -> None:
    await post.begin(tractor="01A123BC", seals=(SEAL,))
    other = FleetUnit(unit_id="uz-0043")
    await post.centre.enrol(other)
    row = JourneyRow(id="J2", unit_id="uz-0043", since_ms=0, tractor="01A123BC")
    await post.store.add_journey(row)
    await post.says(CLOSED)
    [claim] = (await post.facts()).claims
    assert (claim.number, claim.journey) == ("01A123BC", "J2")
    assert (await post.colour())[0] == "amber"
    await post.store.add_journey(replace(row, id=MRN, since_ms=1))  # two units on one load
    assert (await post.facts()).claims == []


async def test_a_stop_order_stands_until_it_is_lifted(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    async with post.store.write() as connection:
        said = {"who": "os:a", "why": "tip", "now_ms": post.centre.now_ms}
        assert await roadside.stop(connection, post.number, **said)  # type: ignore[arg-type]  # plain words
        assert not await roadside.stop(connection, post.number, **said)  # type: ignore[arg-type]  # as above
    assert (await post.colour()) == ("red", ["stop_order"])
    async with post.store.write() as connection:
        assert await roadside.lift(connection, post.number, **said)  # type: ignore[arg-type]  # as above
        assert not await roadside.lift(connection, post.number, **said)  # type: ignore[arg-type]  # as above
    assert (await post.colour()) == ("green", [])


async def test_an_officers_word_is_written_once_and_what_was_seen_later_holds(post: Post) -> None:
    await post.begin(seals=(SEAL,))
    await post.says(CLOSED)
    differs = Report(
        key="k1-differs",
        who="officer-12",
        unit_no=post.number,
        journey=MRN,
        matches=False,
        seen="green",
        made_ms=100,
    )
    async with post.store.write() as connection:
        first = await roadside.report(connection, differs, 200)
        again = await roadside.report(connection, differs, 300)
        assert first is not None
        assert again == replace(first, is_new=False)
        assert await roadside.report(connection, replace(differs, matches=True), 300) is None
    assert (await post.colour()) == ("red", ["differs_reported"])
    matches = replace(differs, key="k2", matches=True, made_ms=50)
    async with post.store.write() as connection:
        assert await roadside.report(connection, matches, 400) is not None
    assert (await post.colour())[0] == "red"  # it had waited on a phone
    async with post.store.write() as connection:
        await roadside.report(connection, replace(matches, key="k3", made_ms=150), 500)
        assert len(await roadside.reports_of(connection, post.number, 10)) == 3
    assert (await post.colour())[0] == "green"
    later = replace(differs, key="k4", made_ms=10)  # it had waited, and nobody has looked since
    async with post.store.write() as connection:
        await roadside.report(connection, later, 600)
    assert (await post.colour()) == ("red", ["differs_reported"])


# the unit's code


async def test_a_code_of_a_batch_that_is_here_says_that_all_is_here(post: Post) -> None:
    await post.begin()
    await post.says(CLOSED)
    weighed = await post.weighs(post.code())
    assert weighed is not None
    assert (weighed.code, weighed.lacks, weighed.our_no) == (Code.SAME, 0, 1)
    assert weighed.our_head == post.unit.newest.head[:16]
    earlier = await post.weighs(post.code(post.unit.sealed[0]))
    assert earlier is not None
    assert earlier.code is Code.SAME


async def test_a_code_ahead_of_the_centre_says_how_much_it_lacks(post: Post) -> None:
    await post.begin()
    for _ in range(3):
        post.unit.seal()
    weighed = await post.weighs(post.code())
    assert weighed is not None
    assert (weighed.code, weighed.lacks) == (Code.LACKS, 3)
    await post.hear(post.unit.newest)  # it came ahead of the others
    weighed = await post.weighs(post.code())
    assert weighed is not None
    assert (weighed.code, weighed.lacks) == (Code.LACKS, 2)
    facts = replace(await post.facts(), code=Code.LACKS, code_ms=post.centre.now_ms, code_lacks=2)
    assert verdict(facts, Limits(), post.centre.now_ms).colour is Colour.AMBER


async def test_a_code_with_another_head_under_a_number_shows_both(post: Post) -> None:
    await post.begin()
    await post.says(CLOSED)
    weighed = await post.weighs(post.code(head=bytes(32)))
    assert weighed is not None
    assert (weighed.code, weighed.our_no) == (Code.DIFFERS, 1)
    assert weighed.our_head == post.unit.newest.head[:16]


async def test_a_code_of_a_unit_that_was_never_heard_lacks_everything(post: Post) -> None:
    await post.centre.enrol(post.unit)
    number = await post.store.number_of("uz-0042")
    assert number is not None
    post.number = number
    post.unit.begin()
    weighed = await post.weighs(post.code())
    assert weighed is not None
    assert (weighed.code, weighed.lacks, weighed.our_no) == (Code.LACKS, 1, -1)


async def test_a_code_that_no_unit_of_ours_has_signed_is_nothing(post: Post) -> None:
    await post.begin()
    code = post.code()
    assert await post.weighs(replace(code, batch_no=7)) is None
    assert await post.weighs(replace(code, unit_number=99)) is None


async def test_a_code_signed_by_a_key_out_of_force_is_told_as_such(post: Post) -> None:
    await post.begin()
    code = post.code()
    async with post.store.read() as connection:
        kid = (await connection.execute(select(schema.unit_key.c.kid))).scalar_one()
    assert await post.store.revoke(kid, now_ms=post.centre.now_ms)
    weighed = await post.weighs(code)
    assert weighed is not None
    assert weighed.code is Code.REVOKED


# the step


async def test_a_store_of_before_learns_the_numbers_that_it_holds(post: Post) -> None:
    def steps(connection: Connection) -> Config:
        config = Config()
        config.set_main_option("script_location", str(_STEPS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        return config

    assert isinstance(await post.store.add_unit("uz-01", bytes(31) + b"\x07", now_ms=5), Added)
    await post.begin(seals=(SEAL,), tractor="01A123BC")
    await post.says(CLOSED, seal="KZ-OI")
    async with post.store.write() as connection:
        await connection.run_sync(lambda c: command.downgrade(steps(c), "0007"))
        await connection.run_sync(lambda c: command.upgrade(steps(c), "head"))
    for typed, kind in ((SEAL, "seal"), ("kz01", "heard"), (MRN, "journey"), ("uz-0042", "unit")):
        assert [hit.kind for hit in await post.find(typed)] == [kind]
