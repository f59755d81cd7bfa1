"""A seal's first contact: a password that nobody else knows, closed channels, and what is different later (DEVICES section 4.5)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent.app.check import Level, look
from agent.app.contacts import fresh_password
from agent.config import BadConfigError, of_text
from agent.io import seal_file
from agent.io.secret_file import SecretFileError
from agent.orders.contact import FACTORY_PASSWORD, Contact, Keep
from devices import SealAnswer
from devices.jt701 import ChangePassword
from firmware_sim.eseal import Jt701d
from tests.agent.orders_rig import (
    BEGIN_MS,
    OTHER_SEAL,
    PASSWORD,
    SEAL,
    HandClock,
    Wire,
    new_seal,
    on_the_road,
    secret_file,
    words,
)
from tests.agent.outbox_rig import all_rows
from wire.orders import OrderResult
from wire.records import EventKind


def from_the_factory() -> Jt701d:
    return new_seal(password=FACTORY_PASSWORD)


def kept(folder: Path) -> Keep:
    keep = seal_file.load(folder / "seals", SEAL)
    assert keep is not None
    return keep


async def test_without_the_setting_a_seal_stays_as_it_is(tmp_path: Path) -> None:
    seal = from_the_factory()
    async with on_the_road(tmp_path, seal=seal, secrets={}) as truck:
        await truck.run(120)
        assert seal._settings.password == FACTORY_PASSWORD
        assert len(seal._settings.open_channels) == 5
        assert all(data.startswith(b"(P69") for data in truck.wire.heard)
        assert not (tmp_path / "seals").exists()


async def test_the_first_contact_leaves_a_lock_that_only_this_unit_opens(tmp_path: Path) -> None:
    seal = from_the_factory()
    async with on_the_road(tmp_path, seal=seal, secrets={}, first_contact=True) as truck:
        await truck.run(60)
        keep = kept(tmp_path)
        assert keep.done == {"password", "channels", "enrol_off", "cards"}
        assert seal._settings.password == keep.password != FACTORY_PASSWORD
        assert seal._settings.open_channels == {"card", "serial"}
        assert keep.cards == ()
        file = tmp_path / "seals" / f"{SEAL}.json"
        assert file.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        await truck.give(words())
        await truck.run(3)
        assert await truck.results() == [(1, OrderResult.DONE, "")]
        store = b"".join((await all_rows(truck.outbox, truck.clock.now)).values())
        assert keep.password.encode() not in store
        assert keep.password not in repr(keep)


async def test_what_is_done_is_not_done_again_and_another_list_of_cards_is_a_record(
    tmp_path: Path,
) -> None:
    seal, clock = from_the_factory(), HandClock(BEGIN_MS)
    async with on_the_road(
        tmp_path, seal=seal, clock=clock, secrets={}, first_contact=True
    ) as truck:
        await truck.run(60)
    before = kept(tmp_path)
    seal._settings.cards.append("0008627839")
    async with on_the_road(
        tmp_path, seal=seal, clock=clock, secrets={}, first_contact=True
    ) as truck:
        await truck.run(60)
        said = b"".join(truck.wire.heard)
        assert b"P44" not in said
        assert b"P59" not in said
        [access] = await truck.events(EventKind.ACCESS)
        assert access.data[2:6] == ("cards_changed", None, None, "0008627839")
        assert kept(tmp_path) == Keep(
            password=before.password, done=before.done, cards=("0008627839",)
        )
        await truck.run(120)
        assert len(await truck.events(EventKind.ACCESS)) == 1


async def test_an_enrolment_at_the_lock_is_a_record_and_the_list_is_read_anew(
    tmp_path: Path,
) -> None:
    seal = from_the_factory()
    async with on_the_road(tmp_path, seal=seal, secrets={}, first_contact=True) as truck:
        await truck.run(60)
        seal._settings.cards.append("0008627839")
        for fact in truck.wire.reader.feed(f"({SEAL},P42,2,0008627839)".encode(), 0):
            await truck._hear("seal", fact)
        await truck.run(35)
        sources = [event.data[2] for event in await truck.events(EventKind.ACCESS)]
        assert sources == ["cards_registered", "cards_changed"]


async def test_a_second_seal_on_the_line_is_a_record_of_its_own(tmp_path: Path) -> None:
    async with on_the_road(tmp_path) as truck:
        other = Wire(new_seal(seal_id=OTHER_SEAL), truck.clock)
        for fact in other.facts():
            await truck._hear("seal", fact)
        await truck.run(70)
        assert OTHER_SEAL in {event.data[0] for event in await truck.events(EventKind.SEAL)}


async def test_while_the_password_changes_no_order_opens(tmp_path: Path) -> None:
    seal = from_the_factory()
    seal_file.save(tmp_path / "seals", SEAL, Keep(next_password="abc123"))  # it died here
    async with on_the_road(tmp_path, seal=seal, secrets={}, first_contact=True, warm_s=0) as truck:
        truck.wire.open = False
        await truck.run(5)
        await truck.give(words())
        assert await truck.results() == [(1, OrderResult.BUSY, "first contact")]


async def test_no_step_is_said_while_an_order_is_under_way(tmp_path: Path) -> None:
    keep = Keep(password=FACTORY_PASSWORD, done=frozenset({"password"}))
    seal_file.save(tmp_path / "seals", SEAL, keep)
    seal = from_the_factory()
    async with on_the_road(tmp_path, seal=seal, secrets={}, first_contact=True, warm_s=0) as truck:
        truck.wire.open = False
        await truck.run(5)
        await truck.give(words())
        truck.wire.open = True
        await truck.run(50)
        assert b"P59" not in b"".join(truck.wire.heard)
        await truck.run(50)
        assert [one[1] for one in await truck.results()] == [OrderResult.SEAL_SILENT]
        assert b"P59" in b"".join(truck.wire.heard)


async def test_a_file_that_others_can_read_stops_the_contact_and_the_opening(
    tmp_path: Path,
) -> None:
    seal = from_the_factory()
    seal_file.save(tmp_path / "seals", SEAL, Keep(password="abc123"))
    (tmp_path / "seals" / f"{SEAL}.json").chmod(0o644)
    async with on_the_road(tmp_path, seal=seal, secrets={}, first_contact=True) as truck:
        await truck.run(60)
        assert seal._settings.password == FACTORY_PASSWORD
        await truck.give(words())
        [(_, result, detail)] = await truck.results()
        assert result == OrderResult.FAILED
        assert "others can read it" in detail


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v": 2}', '{"v": 1, "password": 3}'])
def test_a_torn_file_is_refused_and_never_written_over(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{SEAL}.json").write_text(text)
    (tmp_path / f"{SEAL}.json").chmod(0o600)
    with pytest.raises(SecretFileError, match="the seal's password is in it"):
        seal_file.load(tmp_path, SEAL)


KEEPS = st.builds(
    Keep,
    password=st.none() | st.text("abcXYZ019", min_size=1, max_size=16),
    next_password=st.none() | st.text("abcXYZ019", min_size=1, max_size=16),
    done=st.frozensets(st.sampled_from(["password", "channels", "enrol_off", "cards"])),
    cards=st.none() | st.lists(st.from_regex("[0-9]{10}", fullmatch=True)).map(tuple),
)


@pytest.mark.long
@given(keep=KEEPS)
@settings(max_examples=30, deadline=None)  # a disk may be busy
def test_what_was_kept_is_read_again(tmp_path_factory: pytest.TempPathFactory, keep: Keep) -> None:
    folder = tmp_path_factory.mktemp("seals")
    seal_file.save(folder, SEAL, keep)
    assert seal_file.load(folder, SEAL) == keep
    assert json.loads((folder / f"{SEAL}.json").read_text())["v"] == 1


def test_passwords_are_random_and_sayable() -> None:
    made = {fresh_password() for _ in range(200)}
    assert len(made) == 200
    assert all(len(one) == 6 and one.isalnum() and one.isascii() for one in made)


async def test_a_lock_with_another_password_is_left_alone_after_four_tries(tmp_path: Path) -> None:
    seal = new_seal(password="someone")
    async with on_the_road(tmp_path, seal=seal, secrets={}, first_contact=True) as truck:
        await truck.run(400)
        assert sum(b"(P44" in data for data in truck.wire.heard) == 4
        assert seal._settings.password == "someone"
        assert len(seal._settings.open_channels) == 5  # a lock that we cannot open keeps its ways


def test_an_answer_to_the_start_before_misleads_for_one_turn_only() -> None:
    contact = Contact(
        SEAL, Keep(next_password="nextpw"), first_password="oldpw1", fresh=lambda: "never"
    )

    def say() -> object:
        turn = contact.speak(0)
        assert turn is not None
        return turn.say

    def hear(*, ok: bool) -> Keep | None:
        turn = contact.hear(SealAnswer(at_ms=0, seal_id=SEAL, command="P44", ok=ok), 0)
        return None if turn is None else turn.keep

    question = ChangePassword(new="nextpw", old="nextpw")
    assert say() == question
    assert hear(ok=False) is None  # it was about another password
    assert say() == ChangePassword(new="nextpw", old="oldpw1")
    assert hear(ok=False) is None
    assert say() == question
    keep = hear(ok=True)
    assert keep is not None
    assert (keep.password, keep.next_password) == ("nextpw", None)
    assert keep.done == {"password"}


# any crash, any lost answer

CRASHES = st.lists(
    st.sampled_from(["no", "before keep", "after keep", "after say", "lost answer"]), max_size=8
)


def passwords() -> Iterator[str]:
    number = 100_000
    while True:
        number += 1
        yield str(number)


@given(crashes=CRASHES)
@settings(max_examples=40, deadline=None)  # hours of a lock's time each
def test_e28_a_first_contact_goes_on_where_it_was_and_never_loses_the_password(
    crashes: list[str],
) -> None:
    seal, clock = from_the_factory(), HandClock(BEGIN_MS)
    wire, disk, made = Wire(seal, clock), Keep(), passwords()
    plan = iter(crashes)

    def start() -> Contact:
        return Contact(SEAL, disk, first_password=None, fresh=lambda: next(made))

    contact, lost = start(), False
    for n in range(330):
        clock.now += 3_600_000 if n in {130, 230} else 5_000
        for fact in wire.facts():
            if isinstance(fact, SealAnswer) and lost:
                lost = False
                fact = SealAnswer(at_ms=0, seal_id=SEAL, command=fact.command, ok=None)  # noqa: PLW2901  # ten seconds later
            for hears in (True, False):
                turn = contact.hear(fact, clock.now) if hears else contact.speak(clock.now)
                if turn is None:
                    continue
                assert turn.trouble == ""
                crash = next(plan, "no")
                if crash == "before keep":
                    contact = start()
                    break
                if turn.keep is not None:
                    disk = turn.keep
                    contact.kept(disk)
                if crash == "after keep":
                    contact = start()
                    break
                lost = crash == "lost answer"
                if turn.say is not None:
                    wire.order(turn.say)
                if crash == "after say":
                    seal.take()  # what was not read goes with the process
                    wire.reader = Wire(seal, clock).reader
                    contact = start()
                    break
        # Whatever dies: one of what is on the disk opens the lock.
        assert seal._settings.password in {disk.password, disk.next_password, FACTORY_PASSWORD}
        if disk.password is not None or "password" in disk.done:
            assert seal._settings.password == disk.password
    assert disk.done == {"password", "channels", "enrol_off", "cards"}
    assert disk.next_password is None
    assert seal._settings.password == disk.password
    assert seal._settings.open_channels == {"card", "serial"}


# settings

UNIT = '[unit]\nid = "uz-0042"\n[uplink]\nservers = ["mqtt://127.0.0.1:1"]\n'
LINK = '[links.seal]\ndevice = "/dev/serial/by-id/x"\nprotocol = "jt701"\nrole = "seal"\nseal_id = "8000620011"\n'


def test_a_first_contact_is_wanted_by_name_only() -> None:
    plain = of_text(f'{UNIT}{LINK}[seals.8000620011]\nsecret_file = "/etc/s"\n')
    assert plain.first_contacts == frozenset()
    wanted = of_text(f"{UNIT}{LINK}[seals.8000620011]\nfirst_contact = true\n")
    assert wanted.first_contacts == {"8000620011"}
    assert wanted.secret_files == {}
    with pytest.raises(BadConfigError, match=r"seals\.7\.first_contact"):
        of_text(f"{UNIT}{LINK}[seals.7]\nfirst_contact = true\n")


@pytest.mark.parametrize(
    ("seal", "mode", "keep", "level", "says"),
    [
        ('secret_file = "{secret}"', 0o600, None, Level.OK, "holds a password"),
        ('secret_file = "{secret}"', 0o640, None, Level.BAD, "others can read it"),
        ('secret_file = "/nowhere"', 0o600, None, Level.BAD, "No such file"),
        ("", 0o600, None, Level.WARN, "no order opens it"),
        ("first_contact = true", 0o600, None, Level.OK, "to come"),
        ("first_contact = true", 0o600, Keep(password="abc123"), Level.OK, "is kept here"),
    ],
)
def test_check_tells_whether_an_order_could_open_a_seal(
    tmp_path: Path, seal: str, mode: int, keep: Keep | None, level: Level, says: str
) -> None:
    secret = secret_file(tmp_path)
    secret.chmod(mode)
    if keep is not None:
        seal_file.save(tmp_path / "seals", SEAL, keep)
    unit = UNIT.replace("[unit]\n", f'[unit]\nstate_dir = "{tmp_path}"\n')
    file = tmp_path / "unit.toml"
    file.write_text(f"{unit}{LINK}[seals.{SEAL}]\n{seal.format(secret=secret)}\n")
    [found] = [one for one in look(file, offline=True) if one.name == f"seal {SEAL}"]
    assert (found.level, says in found.detail) == (level, True), found
    assert PASSWORD not in str(found)
    assert "abc123" not in str(found)
