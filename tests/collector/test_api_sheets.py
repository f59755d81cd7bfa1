"""A unit's sheet and its track to take away: unknown is null, custody says how it is proven, an export is whole and kept."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from collector.api import tracks
from collector.api.tables import cell
from collector.api.tracks import HEADER
from collector.people import Role
from collector.store.database import Store
from tests.collector.api_rig import House, client_of, logged_in
from tests.collector.fleet import T0_MS, Centre, FleetUnit, event, fix
from wire.records import EventKind, EventRecord, SealBit

SEAL_ID = "7591225008"
TRACK = "/api/v1/units/uz-0001/track"
Json = dict[str, Any]


class Rig:
    """A house with one truck, and people who ask."""

    def __init__(self, store: Store) -> None:
        self.centre = Centre(store)
        self.centre.now_ms = T0_MS + 1_000
        self.house = House(store)
        self.unit = FleetUnit(unit_id="uz-0001")

    async def client(
        self,
        role: Role = Role.SUPERVISOR,
        *,
        scope: str = "",
        user_id: str = "os:test",
        step_up: bool = False,
    ) -> httpx.AsyncClient:
        token = await logged_in(
            self.house.store,
            role,
            now_ms=self.house.now_ms,
            scope=scope,
            user_id=user_id,
            step_up=step_up,
        )
        return client_of(self.house.api, token=token)

    async def get(
        self,
        path: str,
        status: int = 200,
        *,
        role: Role = Role.SUPERVISOR,
        scope: str = "",
        user_id: str = "os:test",
        step_up: bool = False,
    ) -> httpx.Response:
        asked = self.client(role, scope=scope, user_id=user_id, step_up=step_up)
        async with await asked as client:
            answer = await client.get(path)
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    store = await Store.open("sqlite://")
    rig = Rig(store)
    await rig.centre.enrol(rig.unit)
    yield rig
    await store.close()


async def test_of_a_unit_that_never_spoke_nothing_is_known(rig: Rig) -> None:
    sheet = (await rig.get("/api/v1/sheets/1")).json()
    assert (sheet["unit"], sheet["plate"], sheet["journey"]) == ("uz-0001", "", "")
    unknown = ("heard_at", "fix_at", "limit_at", "lacks_at", "stopped_at", "forked_at", "tags")
    assert {sheet[name] for name in unknown} == {None}
    assert (sheet["seals"], sheet["custody"]) == ([], [])


async def test_a_cut_seal_stands_in_custody_with_the_batch_that_says_so(rig: Rig) -> None:
    known = int(SealBit.LOCKED | SealBit.ROPE_CUT)
    cut = (SEAL_ID, "jt701", known, int(SealBit.ROPE_CUT), 1, None, 90, 1, 1, b"$")
    await rig.centre.hear(rig.unit, rig.unit.begin(more=[event(EventKind.SEAL, cut)]).envelope)
    rig.house.now_ms = rig.centre.now_ms + 1
    sheet = (await rig.get("/api/v1/sheets/1")).json()
    [seal] = sheet["seals"]
    assert (seal["seal"], seal["rope_cut"], seal["locked"]) == (SEAL_ID, True, False)
    row = next(one for one in sheet["custody"] if one["code"] == "SEAL_OPEN_UNAUTHORISED")
    assert (row["batch"], row["seal"], row["proof"]) == (0, SEAL_ID, "PENDING")
    rig.house.now_ms += 60_000
    late = (await rig.get("/api/v1/sheets/1", user_id="os:two")).json()
    assert {one["proof"] for one in late["custody"]} == {"UNLOGGED"}


async def test_custody_from_before_the_clock_was_known_stands_at_its_restated_time(
    rig: Rig,
) -> None:
    floor_ms = T0_MS - 86_400_000 * 300
    known = int(SealBit.LOCKED | SealBit.ROPE_CUT)
    cut = (SEAL_ID, "jt701", known, int(SealBit.ROPE_CUT), 1, None, 90, 1, 1, b"$")
    records = [
        (EventKind.BOOT, (1, 0, "test", 0, None), floor_ms),
        (EventKind.SEAL, cut, floor_ms + 5_000),
    ]
    said = [EventRecord(kind=kind, t_ms=at, mono_ms=1, data=data) for kind, data, at in records]
    rig.centre.now_ms = rig.house.now_ms = T0_MS + 60_000
    rig.unit.quality = 0
    await rig.centre.hear(rig.unit, rig.unit.begin(more=said).envelope)
    rig.unit.quality = 3
    clock = (1, floor_ms + 10_000, T0_MS + 10_000, 3)
    told = EventRecord(kind=EventKind.CLOCK, t_ms=T0_MS + 10_000, mono_ms=1, data=clock)
    await rig.centre.hear(rig.unit, rig.unit.seal([told, fix(T0_MS + 12_000)]).envelope)
    rows = (await rig.get("/api/v1/sheets/1")).json()["custody"]
    assert {row["at"] for row in rows if row["seal"] == SEAL_ID} == {"2026-11-22T06:46:45.000Z"}


async def test_a_unit_of_another_scope_has_no_sheet(rig: Rig) -> None:
    await rig.get("/api/v1/sheets/1", 404, scope="uz.south")
    await rig.get("/api/v1/sheets/2", 404)
    await rig.get("/api/v1/sheets/1", 403, role=Role.ADMIN)


async def drive(rig: Rig) -> None:
    """A minute of driving, ten minutes of nothing, and one more fix."""
    fixes = [fix(T0_MS + 1_000 * second, 413_000_000 + 10 * second) for second in range(60)]
    batches = [rig.unit.begin(), rig.unit.seal(fixes), rig.unit.seal([fix(T0_MS + 660_000)])]
    rig.centre.now_ms = rig.house.now_ms = T0_MS + 700_000
    await rig.centre.hear(rig.unit, *(one.envelope for one in batches))


async def test_a_track_comes_as_columns_with_its_gap_to_who_asks_for_them(rig: Rig) -> None:
    await drive(rig)
    async with await rig.client() as client:
        answer = await client.get(TRACK, headers={"Accept": tracks.MEDIA_TYPE})
        thin = await client.get(f"{TRACK}?points_max=2", headers={"Accept": tracks.MEDIA_TYPE})
        plain = await client.get(TRACK)
    assert answer.headers["content-type"] == tracks.MEDIA_TYPE
    head = HEADER.unpack_from(answer.content)
    assert (head[0], head[3], head[4], head[5]) == (b"PLT1", 61, 1, T0_MS)
    marks = answer.content[HEADER.size + 61 * 12 :][:61]
    assert [at for at, mark in enumerate(marks) if mark & tracks.Mark.GAP] == [60]
    assert HEADER.unpack_from(thin.content)[6] == 59
    assert len(plain.json()["points"]) == 61


async def test_an_export_needs_a_second_factor_is_whole_and_is_kept(rig: Rig) -> None:
    await drive(rig)
    assert (await rig.get(f"{TRACK}/csv", 403)).json()["code"] == "step_up"
    await rig.get(f"{TRACK}/csv", 403, role=Role.OPERATOR, step_up=True)
    sheet = await rig.get(f"{TRACK}/csv", step_up=True)
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert len(rows) == 61
    assert (rows[0]["at"], rows[0]["lat"], rows[0]["said_at"]) == (
        "2026-11-22T06:46:40.000Z",
        "41.3",
        "",
    )
    assert sheet.headers["content-disposition"] == 'attachment; filename="uz-0001.csv"'
    gpx = await rig.get(f"{TRACK}/gpx", role=Role.AUDITOR, step_up=True)
    tree = ET.fromstring(gpx.text)
    name = "{http://www.topografix.com/GPX/1/1}"
    lengths = [len(one) for one in tree.iter(f"{name}trkseg")]
    assert lengths == [60, 1]
    audit = (await rig.get("/api/v1/audit?what=reads", role=Role.AUDITOR)).json()["rows"]
    assert [(row["act"], row["obj"]) for row in audit] == [("export", "unit/uz-0001")] * 2


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_is_a_formula(evil: str) -> None:
    assert cell(evil) == f"'{evil}"
    assert (cell(-1.5), cell(None), cell("plain")) == ("-1.5", "", "plain")
