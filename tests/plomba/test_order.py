"""`plomba unit order` and its neighbours over a real store: wishes in, named refusals out; nobody sends here."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, Table, select
from typer import Typer
from typer.testing import CliRunner

from collector.store import JourneyRow, schema
from collector.store.database import Store
from plomba import order, unit, unit_config, unit_gap, zone
from plomba.centre import actor
from wire import Refused
from wire.orders import OrderKind, inside, read_payload

APP = Typer()
APP.command("add")(unit.add)
APP.command("order")(order.order)
APP.command("orders")(order.orders)
APP.command("order-withdraw")(order.withdraw)
APP.command("config")(unit_config.config)
APP.command("gap-close")(unit_gap.gap_close)
APP.command("zones")(zone.import_zones)
RUNNER = CliRunner()

KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032, 7.1, test 1
ACT = ("--seal", "8000620011", "--officer", "officer-12", "--movement", "26UZ1")
YARD = {
    "type": "Feature",
    "properties": {"id": "yard", "radius_m": 300},
    "geometry": {"type": "Point", "coordinates": [69.24, 41.31]},
}
DRAWN = {
    "type": "Polygon",
    "coordinates": [[[69.2, 41.3], [69.3, 41.3], [69.3, 41.4], [69.2, 41.3]]],
}


class Desk:
    """A data directory with one unit and one zone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    def run(self, *words: str) -> tuple[int, str, str]:
        result = RUNNER.invoke(APP, [*words, "--data", str(self.data)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    def json(self, *words: str) -> dict[str, Any]:
        code, said, why = self.run(*words, "--json")
        assert code == 0, why
        (row,) = [json.loads(line) for line in said.splitlines()]
        assert isinstance(row, dict)
        return row

    def file(self, name: str, content: object) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def rows(self, table: Table) -> Sequence[Any]:
        async def read() -> Sequence[Any]:
            url = f"sqlite:///{self.data / 'collector.db'}"
            async with await Store.open(url) as store, store.read() as connection:
                return (await connection.execute(select(table))).all()

        return asyncio.run(read())

    def do(self, *statements: Executable) -> None:
        async def write() -> None:
            url = f"sqlite:///{self.data / 'collector.db'}"
            async with await Store.open(url) as store, store.write() as connection:
                for statement in statements:
                    await connection.execute(statement)

        asyncio.run(write())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: steps of migration take longer than the tests."""
    made = Desk(tmp_path_factory.mktemp("made"))
    assert made.run("add", "uz-0042", "--public-key", KEY)[0] == 0
    zones = made.file("zones.json", {"type": "FeatureCollection", "features": [YARD]})
    assert made.run("zones", zones)[0] == 0
    return made.data


@pytest.fixture
def desk(made: Path, tmp_path: Path) -> Desk:
    copy = Desk(tmp_path)
    shutil.copytree(made, copy.data)
    return copy


def test_an_unlock_is_given_with_the_corners_of_its_zone_and_who_gave_it(desk: Desk) -> None:
    row = desk.json("order", "uz-0042", "unlock", *ACT, "--zone", "yard", "--reason", "inspection")
    assert (row["state"], row["by"], row["zone"]) == ("PENDING", actor(), "yard")
    (stored,) = desk.rows(schema.unit_order)
    signed = read_payload(stored.payload)
    assert not isinstance(signed, Refused)
    assert signed.data[:3] == ("8000620011", "officer-12", "26UZ1")
    corners: Any = signed.data[3]
    assert len(corners) <= 64
    assert inside(413_100_000, 692_400_000, corners)
    assert not inside(413_100_000, 692_440_000, corners)  # 334 m east: outside the circle
    (act,) = desk.rows(schema.order_act)
    assert (act.act, act.who, act.why) == ("give", actor(), "inspection")


def test_who_gives_an_order_reads_what_happens_next(desk: Desk) -> None:
    code, said, why = desk.run("order", "uz-0042", "arm", *ACT)
    assert code == 0
    assert "plomba unit orders uz-0042" in said
    assert "no collector runs on" in why


def test_an_outline_may_be_drawn_for_one_order(desk: Desk) -> None:
    for name, content in (
        ("bare.json", DRAWN),
        ("feature.json", {"type": "Feature", "properties": {}, "geometry": DRAWN}),
        (
            "all.json",
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "properties": None, "geometry": DRAWN}],
            },
        ),
    ):
        file = desk.file(name, content)
        row = desk.json("order", "uz-0042", "unlock", *ACT, "--area", file, "--supersede")
        assert row["zone"] is None
    newest = read_payload(desk.rows(schema.unit_order)[-1].payload)
    assert not isinstance(newest, Refused)
    corners: Any = newest.data[3]
    assert inside(413_200_000, 692_700_000, corners)
    assert not inside(413_800_000, 692_300_000, corners)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("unlock", *ACT), 2, "--zone ID or with --area FILE"),
        (("unlock", *ACT, "--zone", "yard", "--area", "x.json"), 2, "one of them"),
        (("unlock", *ACT, "--zone", "nowhere"), 3, "plomba zone import"),
        (("unlock", *ACT, "--area", "/nowhere.json"), 3, "No such file"),
        (("unlock", *ACT[2:], "--zone", "yard"), 2, "unlock needs --seal"),
        (("unlock", *ACT[:4], "--zone", "yard"), 2, "say --movement"),
        (("arm", *ACT, "--zone", "yard"), 2, "--zone says nothing of arm"),
        (("report", "--seal", "s"), 2, "--seal says nothing of report"),
        (("arm", *ACT, "--until", "tomorrow"), 2, "--until: 'tomorrow' is no RFC 3339"),
        (("arm", *ACT, "--until", "2001-01-01T00:00:00Z"), 2, "--until lies after --from"),
        (("arm", *ACT, "--from", "2001-01-01T00:00:00Z"), 2, "leave out --from"),
        (("arm", *ACT, "--until", "2101-01-01T00:00:00Z"), 2, "at most 4 hours"),
        (("arm", "--seal", "s" * 65, *ACT[2:]), 2, "1 to 64 bytes"),
        (("resend",), 3, "has no chain yet"),
        (("resend", "--chain", "abc"), 2, "32 hex digits"),
        (("fly",), 2, "'fly'"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_what_would_be_right(
    desk: Desk, words: tuple[str, ...], code: int, why: str
) -> None:
    exit_code, said, told = desk.run("order", "uz-0042", *words)
    assert (exit_code, said) == (code, "")
    assert why in " ".join(told.replace("│", " ").split())
    assert desk.rows(schema.unit_order) == []


def test_a_unit_that_is_not_there_is_not_found(desk: Desk) -> None:
    code, _, why = desk.run("order", "uz-0001", "report")
    assert code == 3
    assert "plomba unit add uz-0001" in why


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": []},
        {"type": "Point", "coordinates": [69.2, 41.3]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
        [],
    ],
)
def test_a_file_that_draws_no_area_is_bad(desk: Desk, content: object) -> None:
    file = desk.file("area.json", content)
    code, _, why = desk.run("order", "uz-0042", "unlock", *ACT, "--area", file)
    assert code == 6
    assert file in why


def test_a_second_order_waits_for_the_first_or_supersedes_it(desk: Desk) -> None:
    first = desk.json("order", "uz-0042", "arm", *ACT)
    code, _, why = desk.run("order", "uz-0042", "disarm", *ACT)
    assert code == 1
    assert first["id"] in why
    assert "--supersede" in why
    second = desk.json("order", "uz-0042", "disarm", *ACT, "--supersede")
    assert second["counter"] > first["counter"]
    states = {row.order_id.hex(): row.state for row in desk.rows(schema.unit_order)}
    assert states == {first["id"]: "WITHDRAWN", second["id"]: "PENDING"}


def test_the_movement_is_the_units_journey_if_nobody_says_another(desk: Desk) -> None:
    async def add() -> None:
        async with await Store.open(f"sqlite:///{desk.data / 'collector.db'}") as store:
            await store.add_journey(JourneyRow(id="26UZ7", unit_id="uz-0042", since_ms=1))

    asyncio.run(add())
    row = desk.json("order", "uz-0042", "arm", *ACT[:4])
    assert row["movement"] == "26UZ7"
    code, _, why = desk.run("order", "uz-0042", "arm", *ACT, "--supersede")
    assert code == 0
    assert "is on 26UZ7, not on 26UZ1" in why


def test_an_order_is_withdrawn_by_the_beginning_of_its_id(desk: Desk) -> None:
    row = desk.json("order", "uz-0042", "arm", *ACT)
    code, said, _ = desk.run("order-withdraw", row["id"][:8], "--reason", "wrong truck")
    assert code == 0
    assert said == f"{row['id']} of uz-0042 is withdrawn\n"
    acts = [(act.act, act.why) for act in desk.rows(schema.order_act)]
    assert acts == [("give", ""), ("withdraw", "wrong truck")]
    code, _, why = desk.run("order-withdraw", row["id"])
    assert (code, "WITHDRAWN already" in why) == (1, True)


@pytest.mark.parametrize(("order_id", "code"), [("abcdef", 3), ("abc", 2), ("x" * 8, 2)])
def test_an_id_that_is_none_is_said(desk: Desk, order_id: str, code: int) -> None:
    assert desk.run("order-withdraw", order_id)[0] == code


def test_a_report_bears_a_nonce_that_nobody_could_know(desk: Desk) -> None:
    for _ in range(2):
        desk.json("order", "uz-0042", "report")
    datas = []
    for row in desk.rows(schema.unit_order):
        signed = read_payload(row.payload)
        assert not isinstance(signed, Refused)
        assert signed.kind == OrderKind.REPORT_NOW
        datas.append(signed.data)
    assert [data[0] for data in datas] == [1, 1]
    assert len({data[1] for data in datas}) == 2


# settings by air


def test_a_config_is_a_version_and_the_same_again_is_nothing(desk: Desk) -> None:
    file = desk.file("slow.toml", "[sealer]\nrecords_min = 30\n")
    row = desk.json("config", "uz-0042", file, "--reason", "less air")
    assert (row["kind"], row["version"], row["changed"], row["until"]) == (
        "set_config",
        1,
        True,
        None,
    )
    same = desk.file("same.toml", "# slower\n[sealer]\nrecords_min = 30\n")
    assert desk.json("config", "uz-0042", same)["changed"] is False
    code, said, _ = desk.run("config", "uz-0042", same)
    assert (code, said) == (0, "version 1 of uz-0042 says the same: nothing is given\n")
    other = desk.file("other.toml", "[sealer]\nrecords_min = 31\n")
    assert desk.json("config", "uz-0042", other)["version"] == 2


def test_every_fault_of_a_config_is_told_and_nothing_is_given(desk: Desk) -> None:
    file = desk.file("bad.toml", "[unit]\nid = 'x'\n[sealer]\nrecords_min = 0\n")
    code, said, why = desk.run("config", "uz-0042", file)
    assert (code, said) == (6, "")
    assert "unit: who the unit is" in why
    assert "sealer.records_min: 1 to 300, is 0" in why
    assert desk.rows(schema.unit_order) == []


def test_a_config_file_must_be_there_and_be_short(desk: Desk) -> None:
    assert desk.run("config", "uz-0042", "/nowhere.toml")[0] == 3
    code, _, why = desk.run("config", "uz-0042", desk.file("long.toml", "#" * 9_000))
    assert code == 6
    assert "1 to 8192 bytes" in why


@pytest.mark.parametrize("words", [("config", "uz-0042"), ("orders", "uz-0042")])
def test_showing_asks_the_collector(desk: Desk, words: tuple[str, ...]) -> None:
    code, _, why = desk.run(*words)
    assert code == 5
    assert "plomba collector run" in why


# gaps


def test_a_gap_is_closed_with_its_reason_when_it_is_a_day_old(desk: Desk) -> None:
    assert desk.run("gap-close", "uz-0042", "--reason", "lost")[0] == 3
    gap = {
        "unit_no": 1, "chain_id": b"c" * 16, "first_no": 3, "last_no": 5, "first_seq": 9, "since_ms": 1,
        "is_urged": True, "minutes": 20, "minute": 1, "is_alerted": True,
    }  # fmt: skip
    desk.do(schema.gap.insert().values(**gap))
    assert desk.run("gap-close", "uz-0042", "--reason", " ")[0] == 2
    row = desk.json("gap-close", "uz-0042", "--reason", "the card burnt")
    assert row == {"unit": "uz-0042", "chain": (b"c" * 16).hex(), "first": 3, "last": 5}
    (act,) = desk.rows(schema.gap_close)
    assert (act.who, act.why, act.outcome) == (actor(), "the card burnt", None)


def test_a_young_gap_may_still_close_by_itself(desk: Desk) -> None:
    gap = {
        "unit_no": 1, "chain_id": b"c" * 16, "first_no": 3, "last_no": 5, "first_seq": 9,
        "since_ms": (1 << 42) - 1, "is_urged": True, "minutes": 20, "minute": 1, "is_alerted": True,
    }  # fmt: skip
    desk.do(schema.gap.insert().values(**gap))
    code, _, why = desk.run("gap-close", "uz-0042", "--reason", "lost")
    assert code == 1
    assert "may be closed 24 h after it was seen" in why


def test_who_acts_is_the_user_of_the_system() -> None:
    assert actor().startswith("os:")
