"""Who is told of which alert, and an outbox that never says a thing twice (DETECTION section 9)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, strategies as st

from collector.alerts import Act, Event, State
from collector.app.notifying import TRIES_MAX, Notifying, begin, pause_ms
from collector.config import ConfigError, parse
from collector.io.notify import TargetSettings, UrlFileError, read_url
from collector.notify import ESCALATE_S, Change, Due, Target, dues_of, is_new_round
from collector.store import alert_acts, notifications
from collector.store.database import Store
from collector.texts import LANGUAGES
from collector.texts.messages import BODY_CHARS_MAX, body_of, gathered, title_of
from collector.tick.ticker import Ticker
from tests.collector.fleet import ORDER_KEY, RECEIPT_KEY, Centre, FleetUnit
from tests.collector.test_tick import panic

NOW_MS = 1_795_330_000_000
HOUR_MS = 3_600_000
DESK = Target(name="desk")
CHIEF = Target(name="chief", min_priority="P1", escalate_after_s=ESCALATE_S)
NEW = Change(
    code="ROUTE_DEVIATION",
    unit="uz-01",
    before=None,
    after=State.UNACKED,
    priority_before=None,
    priority="P2",
    count=1,
    at_ms=NOW_MS,
    is_over=False,
)


def steps(change: Change, *targets: Target) -> list[str]:
    return [due.step for due in dues_of(change, targets or (DESK,), NOW_MS)]


def told(before: State | None, after: State, **more: object) -> Change:
    known = {} if before is None else {"priority_before": "P2", "count": 7}
    return replace(NEW, before=before, after=after, **{**known, **more})  # type: ignore[arg-type]  # tests name fields of Change


@pytest.mark.parametrize(
    ("before", "after", "more", "step"),
    [
        (None, State.UNACKED, {}, ["raise"]),
        (None, State.CLEARED_UNACKED, {"is_over": True}, ["raise"]),  # begin and end in one backlog
        (State.UNACKED, State.UNACKED, {}, []),  # told again, nothing worse
        (State.UNACKED, State.UNACKED, {"priority": "P1"}, ["worse.P1"]),
        (State.ACKED, State.UNACKED, {"priority": "P1"}, ["worse.P1"]),
        (State.ACKED, State.UNACKED, {}, ["again.7"]),  # a re-tamper is never swallowed
        (State.RESET_PROPOSED, State.UNACKED, {}, ["again.7"]),
        (State.SHELVED, State.UNACKED, {"priority": "P1"}, ["worse.P1"]),
        (State.UNACKED, State.CLEARED_UNACKED, {"is_over": True}, []),
        (State.CLEARED_UNACKED, State.UNACKED, {}, []),  # nobody has seen it yet: told once
        (State.ACKED, State.ACKED, {}, []),
        (State.ACKED, State.CLOSED, {"is_over": True}, []),
        (State.SHELVED, State.SHELVED, {}, []),
        (State.SUPPRESSED, State.SUPPRESSED, {"priority": "P1"}, []),
        (State.OUT_OF_SERVICE, State.OUT_OF_SERVICE, {"priority": "P1"}, []),
    ],
)
def test_an_alert_is_told_once_and_again_when_it_is_news(
    before: State | None, after: State, more: dict[str, object], step: list[str]
) -> None:
    assert steps(told(before, after, **more)) == step


@pytest.mark.parametrize(
    ("target", "change", "hears"),
    [
        (DESK, replace(NEW, priority="P1"), True),
        (DESK, replace(NEW, priority="P3"), False),
        (replace(DESK, min_priority="P3"), replace(NEW, priority="P3"), True),
        (replace(DESK, min_priority="P1"), NEW, False),
        (replace(DESK, codes=("SEAL_LOST",)), NEW, False),
        (replace(DESK, codes=("SEAL_LOST", "ROUTE_DEVIATION")), NEW, True),
        (replace(DESK, units=("uz-02",)), NEW, False),
        (replace(DESK, units=("uz-01",)), NEW, True),
        (replace(DESK, units=("uz-02",)), replace(NEW, unit="", others=("uz-01", "uz-02")), True),
        (replace(DESK, units=("uz-03",)), replace(NEW, unit="", others=("uz-01", "uz-02")), False),
        (replace(DESK, units=("uz-01",)), replace(NEW, unit=""), False),  # of nobody
    ],
)
def test_a_target_hears_what_concerns_it(target: Target, change: Change, *, hears: bool) -> None:
    assert bool(steps(change, target)) is hears


@pytest.mark.parametrize(
    ("priority", "is_over", "age_ms", "hears"),
    [
        ("P3", True, 24 * HOUR_MS + 1, False),
        ("P3", True, 24 * HOUR_MS, True),
        ("P3", False, 48 * HOUR_MS, True),  # old, but it goes on
        ("P2", True, 48 * HOUR_MS, True),
    ],
)
def test_a_p3_that_is_over_and_older_than_a_day_makes_no_sound(
    priority: str,
    *,
    is_over: bool,
    age_ms: int,
    hears: bool,
) -> None:
    after = State.CLEARED_UNACKED if is_over else State.UNACKED
    late = replace(NEW, priority=priority, is_over=is_over, after=after, at_ms=NOW_MS - age_ms)
    assert bool(steps(late, replace(DESK, min_priority="P3"))) is hears


def test_what_is_critical_goes_at_once_and_the_rest_is_gathered() -> None:
    for priority, waits_ms in (("P1", 0), ("P2", 60_000), ("P3", 60_000)):
        (due,) = dues_of(
            replace(NEW, priority=priority), (replace(DESK, min_priority="P3"),), NOW_MS
        )
        assert due.due_ms == NOW_MS + waits_ms
    (due,) = dues_of(NEW, (replace(DESK, gather_s=0),), NOW_MS)
    assert due.due_ms == NOW_MS


def test_a_supervisor_is_told_after_a_minute_five_and_thirty() -> None:
    assert dues_of(replace(NEW, priority="P1"), (CHIEF,), NOW_MS) == (
        Due(target="chief", step="raise+60s", due_ms=NOW_MS + 60_000),
        Due(target="chief", step="raise+300s", due_ms=NOW_MS + 300_000),
        Due(target="chief", step="raise+1800s", due_ms=NOW_MS + 1_800_000),
    )
    assert steps(NEW, CHIEF) == []


@given(
    before=st.none() | st.sampled_from(State),
    after=st.sampled_from(State),
    worse=st.booleans(),
    count=st.integers(1, 9),
)
def test_what_rests_or_is_seen_is_never_told(
    before: State | None,
    after: State,
    *,
    worse: bool,
    count: int,
) -> None:
    change = told(before, after, count=count, priority="P1" if worse else "P2")
    if after not in (State.UNACKED, State.CLEARED_UNACKED):
        assert steps(change, DESK, replace(CHIEF, min_priority="P3")) == []
        assert not is_new_round(change)


# the outbox


@dataclass(slots=True)
class Service:
    """A service that takes messages, refuses them, or takes the collector down with it."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    why: str | None = None
    dies: bool = False

    async def send(self, path: Path, title: str, body: str) -> str | None:
        assert path == Path("/nowhere")
        if self.why is None:
            self.taken.append((title, body))
        if self.dies:
            raise PowerOffError
        return self.why


class PowerOffError(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class World:
    """A centre with one unit, a desk and a chief that are told."""

    centre: Centre
    unit: FleetUnit
    service: Service
    targets: tuple[TargetSettings, ...]

    def out(self, name: str = "desk") -> Notifying:
        settings = next(target for target in self.targets if target.name == name)
        return Notifying(
            store=self.centre.store,
            settings=settings,
            send=self.service.send,
            rng=Random(1),
            now_ms=lambda: self.centre.now_ms,
        )

    async def alarm(self) -> bytes:
        """The unit's panic button: a P1 alert. Its id."""
        sealed = self.unit.seal([panic(self.unit)])
        result = await self.centre.hear(self.unit, sealed.envelope)
        (id_,) = result.alerts
        return id_

    async def ack(self, id_: bytes) -> None:
        async with self.centre.store.write() as connection:
            done = Act(event=Event.ACK, by="aziza")
            await alert_acts.act(connection, id_, done, self.centre.now_ms)

    async def letters(self) -> dict[tuple[str, str], str]:
        async with self.centre.store.read() as connection:
            rows = await notifications.letters(connection)
        return {(row.target, row.step): row.state for row in rows}

    async def whys(self) -> set[str]:
        async with self.centre.store.read() as connection:
            return {row.why for row in await notifications.letters(connection)}


async def world_of(store: Store) -> World:
    targets = (
        TargetSettings(name="desk", url_file=Path("/nowhere"), language="uz"),
        TargetSettings(name="chief", url_file=Path("/nowhere"), escalate_after_s=ESCALATE_S),
    )
    centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
    centre.ticker = Ticker(
        store=store,
        receipt_key=RECEIPT_KEY,
        order_key=ORDER_KEY,
        targets=tuple(settings.target for settings in targets),
    )
    await centre.enrol(unit)
    await centre.hear(unit, unit.begin().envelope)
    return World(centre=centre, unit=unit, service=Service(), targets=targets)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = await Store.open("sqlite://")
    try:
        yield await world_of(store)
    finally:
        await store.close()


async def test_an_alert_goes_out_once_in_the_language_of_the_target(world: World) -> None:
    await world.alarm()
    assert await world.out().step() == 1
    assert await world.out().step() == 0
    ((title, body),) = world.service.taken
    assert title == "P1 Haydovchi yordam soʻramoqda, uz-01"
    assert "Nima qilish kerak: Haydovchiga" in body
    assert "Javob: 2 daqiqa ichida" in body
    assert (await world.letters())["desk", "raise"] == "sent"


async def test_the_supervisor_hears_only_while_nobody_acknowledges(world: World) -> None:
    id_ = await world.alarm()
    assert await world.out("chief").step() == 0
    world.centre.now_ms += 60_000
    assert await world.out("chief").step() == 1
    assert world.service.taken[0][0] == "Not acknowledged: P1 Driver calls for help, uz-01"
    await world.ack(id_)
    world.centre.now_ms += HOUR_MS
    assert await world.out("chief").step() == 0
    letters = await world.letters()
    assert letters["chief", "raise+60s"] == "sent"
    assert letters["chief", "raise+300s"] == letters["chief", "raise+1800s"] == "moot"


async def test_what_is_due_at_once_goes_as_one_message(world: World) -> None:
    await world.alarm()
    await world.alarm()
    world.centre.now_ms += 301_000
    assert await world.out("chief").step() == 4
    ((title, body),) = world.service.taken
    assert title == "2 alerts"
    assert body.count("Not acknowledged") == 2  # each alert once, though two steps of it were due


async def test_what_worsens_while_it_waits_is_told_once_as_worse(world: World) -> None:
    id_ = await world.alarm()
    calm = replace(NEW, priority="P2")
    worse = replace(NEW, before=State.UNACKED, priority_before="P2", priority="P1", count=2)
    targets = (replace(DESK, name="other"),)
    async with world.centre.store.write() as connection:
        now_ms = world.centre.now_ms
        await notifications.write(connection, [(id_, calm)], targets, now_ms)
        assert await notifications.take(connection, "other", now_ms + 59_999, 20) == []
        await notifications.write(connection, [(id_, worse)], targets, now_ms + 5_000)
        taken = await notifications.take(connection, "other", now_ms + HOUR_MS, 20)
        assert [message.step for message in taken] == ["worse.P1"]
    assert "told as worse" in await world.whys()


async def test_a_refused_message_is_tried_again_and_at_last_set_aside_with_its_reason(
    world: World,
) -> None:
    await world.alarm()
    world.service.why = "the service did not take it"
    for _ in range(TRIES_MAX - 1):
        assert await world.out().step() == 0
        assert (await world.letters())["desk", "raise"] == "waiting"
        world.centre.now_ms += HOUR_MS
    await world.out().step()
    assert (await world.letters())["desk", "raise"] == "dead"
    assert "the service did not take it" in await world.whys()
    world.service.why = None
    assert await world.out().step() == 0
    assert world.service.taken == []


async def test_a_message_goes_out_when_its_service_is_back(world: World) -> None:
    await world.alarm()
    world.service.why = "away"
    await world.out().step()
    world.service.why = None
    world.centre.now_ms += 10_000
    assert await world.out().step() == 1
    assert len(world.service.taken) == 1


async def test_a_clock_that_is_set_back_makes_nobody_wait_for_hours(world: World) -> None:
    await world.alarm()
    world.service.why = "away"
    await world.out().step()
    world.service.why = None
    world.centre.now_ms -= 24 * HOUR_MS
    assert await world.out().step() == 0
    assert await world.out("chief").step() == 0
    world.centre.now_ms += 59_999
    assert await world.out().step() == 1
    assert await world.out("chief").step() == 0
    world.centre.now_ms += 1
    assert await world.out("chief").step() == 1


async def test_a_message_that_was_under_way_when_the_collector_died_is_never_sent_again(
    world: World,
) -> None:
    await world.alarm()
    world.service.dies = True
    with pytest.raises(PowerOffError):
        await world.out().step()
    world.service.dies = False
    await begin(world.centre.store, world.targets)
    world.centre.now_ms += HOUR_MS
    assert await world.out().step() == 0
    assert len(world.service.taken) == 1
    assert (await world.letters())["desk", "raise"] == "dead"
    assert notifications.INTERRUPTED in await world.whys()


async def test_what_waits_for_a_target_that_is_gone_is_set_aside(world: World) -> None:
    await world.alarm()
    await begin(world.centre.store, world.targets[:1])
    letters = await world.letters()
    assert letters["desk", "raise"] == "waiting"
    assert {state for (name, _), state in letters.items() if name == "chief"} == {"dead"}


@pytest.mark.parametrize("point", ["alerts", "notified", "counted", "commit"])
async def test_a_tick_that_dies_leaves_no_message_and_the_next_one_says_it_once(
    tmp_path: Path, point: str
) -> None:
    armed: list[str] = []

    def at(name: str) -> None:
        if armed and name == armed[0]:
            armed.clear()
            raise PowerOffError

    store = await Store.open(f"sqlite:///{tmp_path / 'c.db'}", at=at)
    try:
        world = await world_of(store)
        sealed = world.unit.seal([panic(world.unit)])
        armed.append(point)
        with pytest.raises(PowerOffError):
            await world.centre.hear(world.unit, sealed.envelope)
        assert armed == []
        assert await world.letters() == {}
        await world.centre.hear(world.unit, sealed.envelope)
        await world.centre.hear(world.unit, sealed.envelope)  # a duplicate: nothing new
        assert await world.out().step() == 1
        assert len(world.service.taken) == 1
        assert len(await world.letters()) == 1 + len(ESCALATE_S)
    finally:
        await store.close()


def test_pauses_are_anything_up_to_a_bound_that_doubles() -> None:
    rng = Random(7)
    for tries in range(TRIES_MAX):
        drawn = [pause_ms(tries, rng) for _ in range(200)]
        most = min(600_000, 2_000 << tries)
        assert 0 <= min(drawn) < most / 10
        assert most * 0.9 < max(drawn) <= most


# words, settings, secrets


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_stays_short(language: str) -> None:
    one = (
        title_of("SEAL_LOST", "uz-01", "P2", language, is_unseen=True),
        body_of("SEAL_LOST", "x" * 300, "P2", NOW_MS, language),
    )
    assert "2026-11-22" in one[1]
    title, body = gathered([one] * 20, language)
    assert len(title) <= 120
    assert len(body) <= BODY_CHARS_MAX + 1


TARGET = '[[notify.target]]\nname = "desk"\nurl_file = "/etc/desk.url"\n'


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        (TARGET.replace("desk", "De sk", 1), "notify.target[0].name", "a-z"),
        (TARGET + TARGET, "notify.target[1].name", "taken"),
        (TARGET + 'min_priority = "P4"', "notify.target[0].min_priority", "P1, P2, P3"),
        (TARGET + 'codes = ["NOISE"]', "notify.target[0].codes", "catalogue"),
        (TARGET + 'units = ["?"]', "notify.target[0].units", "unit_id"),
        (TARGET + 'language = "fr"', "notify.target[0].language", "uz, ru, en"),
        (TARGET + "escalate_after_s = [0]", "notify.target[0].escalate_after_s", "86400"),
        (TARGET + 'url = "json://x"', "notify.target[0].url", "is not known"),
        ('[[notify.target]]\nname = "desk"', "notify.target[0]", "url_file"),
    ],
)
def test_a_wrong_target_is_named_with_what_would_be_right(text: str, key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text)
    assert error.value.key == key
    assert hint in error.value.hint


def test_a_target_is_read_with_all_its_settings() -> None:
    (target,) = parse(TARGET + 'units = ["uz-01"]\nescalate_after_s = [60, 300]').notify.target
    assert target.url_file == Path("/etc/desk.url")
    assert target.target.escalate_after_s == (60, 300)


@pytest.mark.parametrize(
    ("text", "mode", "fault"),
    [
        ("json://secret", 0o644, "others can read it"),
        ("# nothing\n", 0o600, "holds 0 urls"),
        ("json://secret\njson://secret2\n", 0o600, "holds 2 urls"),
    ],
)
def test_a_url_file_that_is_no_secret_or_no_url_is_refused_without_showing_it(
    tmp_path: Path, text: str, mode: int, fault: str
) -> None:
    file = tmp_path / "desk.url"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(UrlFileError, match=fault) as error:
        read_url(file)
    assert "secret" not in str(error.value)


def test_a_url_is_read_past_remarks(tmp_path: Path) -> None:
    file = tmp_path / "desk.url"
    file.write_text("# the desk's room\njson://here\n")
    file.chmod(0o600)
    assert read_url(file) == "json://here"
