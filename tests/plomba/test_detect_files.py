"""`plomba detect replay` over files that are damaged, cut off or of another make: each fault has a name, the rest is used."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from plomba.__main__ import app

RUNNER = CliRunner()
HEAD = "time,lat,lon\n"
POINT_OF = '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [69, 41]}, %s}'
LINE_OF = (
    '{"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[69, 41], [69]]}, %s}'
)
ZONE = {
    "type": "Feature",
    "properties": {"id": "z"},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[69, 41], [69.01, 41], [69.01, 41.01], [69, 41.01], [69, 41]]],
    },
}
POINT = {"type": "Point", "coordinates": [69.005, 41.005]}
PANIC = {"unit": "truck", "time": "2026-01-01T00:00:02Z", "kind": "panic", "source": "button"}


def replay(tmp_path: Path, name: str, data: str | bytes, *more: str) -> Result:
    track, zones = tmp_path / name, tmp_path / "zones.geojson"
    track.write_bytes(data if isinstance(data, bytes) else data.encode())
    zones.write_text(json.dumps(ZONE))
    result = RUNNER.invoke(
        app, ["detect", "replay", str(track), "--zones", str(zones), *more, "--json"]
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def faults(result: Result) -> list[str]:
    """`line: code` of each that was named."""
    named = [line.rsplit("/", 1)[-1] for line in result.stderr.splitlines() if "/" in line]
    return [name.split(":", 1)[1] for name in named]


def codes(result: Result) -> list[str]:
    return [json.loads(line)["code"] for line in result.stdout.splitlines()]


def row(n: int, lat: str = "41.005", more: str = "") -> str:
    return f"2026-01-01T00:00:{n:02d}Z,{lat},69.005{more}\n"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1e400", "bad_number"),
        ("1e999999999", "bad_number"),
        ("9" * 200_000, "bad_number"),
        ("4_1", "bad_number"),
        ("٤١", "bad_number"),
        ("NaN", "bad_number"),
        ("91", "out_of_range"),
    ],
)
def test_a_place_that_is_no_number_costs_its_row_alone(
    tmp_path: Path, cell: str, code: str
) -> None:
    result = replay(tmp_path, "truck.csv", HEAD + row(0) + row(1, cell) + row(2))
    assert (result.exit_code, faults(result)) == (0, [f"3: {code}"])
    assert codes(result) == ["ZONE_FOUND_INSIDE"]


@pytest.mark.parametrize("cell", ["9" * 5_000, "2026-01-01T12:00:60Z", "2026-01-01T00:00:00"])
def test_a_time_that_is_none_costs_its_row_alone(tmp_path: Path, cell: str) -> None:
    result = replay(tmp_path, "truck.csv", f"{HEAD}{cell},41.005,69.005\n" + row(2))
    assert (result.exit_code, faults(result)) == (0, ["2: bad_time"])


@pytest.mark.parametrize("cell", ["2016-12-31t23:59:60z", "2017-01-01T04:59:60.5+05:00"])
def test_a_leap_second_is_the_begin_of_the_next_day(tmp_path: Path, cell: str) -> None:
    (line,) = replay(tmp_path, "truck.csv", f"{HEAD}{cell},41.005,69.005\n").stdout.splitlines()
    assert json.loads(line)["at"] == "2017-01-01T00:00:00.000Z"


def test_a_quote_that_never_ends_spoils_its_own_row(tmp_path: Path) -> None:
    text = "time,lat,lon,note\n" + row(0, more=',"oops') + row(1, more=",") + row(2, more=',"a\nb"')
    result = replay(tmp_path, "truck.csv", text)
    assert faults(result) == ["2: bad_csv"]
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["at"] == "2026-01-01T00:00:01.000Z"


def test_a_row_that_breaks_off_is_no_message_without_a_fix(tmp_path: Path) -> None:
    result = replay(tmp_path, "truck.csv", HEAD + row(0) + "2026-01-01T00:00:01Z,41.00")
    assert faults(result) == ["3: missing_column"]


def test_of_two_columns_of_a_name_the_first_counts(tmp_path: Path) -> None:
    assert codes(replay(tmp_path, "truck.csv", "time,lat,lon,lat\n" + row(0, more=",50"))) == [
        "ZONE_FOUND_INSIDE"
    ]


def test_of_a_packed_file_that_breaks_off_the_whole_lines_are_used(tmp_path: Path) -> None:
    packed = gzip.compress((HEAD + "".join(row(n % 60) for n in range(5_000))).encode())
    whole = replay(tmp_path, "truck.csv.gz", packed)
    cut = replay(tmp_path, "truck.csv.gz", packed[:-9])
    assert faults(whole) == []
    assert [fault.split(": ")[1] for fault in faults(cut)] == ["bad_gzip"]
    assert codes(cut) == codes(whole)
    assert faults(replay(tmp_path, "truck.csv.gz", b"no gzip")) == ["1: bad_gzip"]


@pytest.mark.parametrize("name", ["TRUCK.CSV", "truck.Csv.GZ"])
def test_endings_may_be_written_large(tmp_path: Path, name: str) -> None:
    data = (HEAD + row(0)).encode()
    result = replay(tmp_path, name, gzip.compress(data) if name.endswith("GZ") else data)
    assert codes(result) == ["ZONE_FOUND_INSIDE"]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_that_is_not_utf_8_is_called_so(tmp_path: Path, coding: str) -> None:
    result = replay(tmp_path, "truck.csv", (HEAD + row(0)).encode(coding))
    assert (result.exit_code, faults(result)) == (1, ["1: not_utf8"])


def test_a_gpx_is_read_by_its_own_elements(tmp_path: Path) -> None:
    def gpx(points: str, head: str = "") -> str:
        return f"{head}<gpx><trk><trkseg>{points}</trkseg></trk></gpx>"

    point = '<trkpt lat="41.005" lon="69.005"><time>2026-01-01T00:00:00Z</time>{}</trkpt>'
    inner = "<extensions><time>noon</time><hdop>x</hdop></extensions>"
    assert faults(replay(tmp_path, "truck.gpx", gpx(point.format(inner)))) == []
    tens = "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = gpx(point.format("<name>&i;</name>"), f'<!DOCTYPE g [<!ENTITY a "aaaa">{tens}]>')
    result = replay(tmp_path, "truck.gpx", bomb)
    assert (result.exit_code, faults(result)) == (1, ["1: bad_xml"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"features": null}', ["1: wrong_type"]),
        ("[" * 100_000, ["1: bad_json"]),
        (json.dumps(ZONE), ["1: wrong_type"]),
        (json.dumps({"type": "Feature", "geometry": POINT, "properties": {}}), ["1: no_time"]),
        (POINT_OF % '"properties": {"time": 1767225600, "hdop": NaN}', ["1: bad_number"]),
        (POINT_OF % '"properties": {"time": 1767225600, "unit": "\\ud800"}', ["1: bad_text"]),
        (LINE_OF % '"properties": {"coordTimes": [1767225600, 1767225601]}', ["1: bad_number"]),
        ('{"type": "Feature", "geometry": null, "properties": {"time": 1767225600}}', []),
    ],
)
def test_what_is_no_row_of_a_geojson_is_named(tmp_path: Path, source: str, said: list[str]) -> None:
    assert faults(replay(tmp_path, "truck.geojson", source)) == said


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "wat"}, "unknown_kind"),
        ({"unit": None}, "no_unit"),
        ({"kind": "seal"}, "no_seal"),
        ({"kind": "seal", "seal_id": "S", "locked": "true"}, "bad_flag"),
        ({"kind": "seal", "seal_id": "S", "cause": "wat"}, "unknown_cause"),
        ({"kind": "seal", "seal_id": "S", "battery_percent": -5}, "out_of_range"),
        ({"kind": "odo", "metres": float("nan")}, "bad_number"),
        ({"kind": "odo", "metres": float("inf")}, "out_of_range"),
        ({"kind": "tags", "epcs": 5}, "bad_list"),
        ({"kind": "journey", "limit": "soon"}, "bad_time"),
        ({"kind": "order", "not_before": "soon"}, "bad_time"),
        ({"source": "\ud800"}, "bad_text"),
        ({"seq": -1}, "out_of_range"),
    ],
)
def test_a_fact_that_no_record_could_hold_is_left_out_alone(
    tmp_path: Path, change: dict[str, object], code: str
) -> None:
    facts = tmp_path / "facts.jsonl"
    facts.write_text(f"{json.dumps(PANIC | change)}\n{json.dumps(PANIC)}\n")
    result = replay(tmp_path, "truck.csv", HEAD + row(0), "--facts", str(facts))
    assert (result.exit_code, faults(result)) == (0, [f"1: {code}"])
    assert "DRIVER_DISTRESS" in codes(result)


def test_a_fact_without_a_number_has_no_place_among_numbered_rows(tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    some = [PANIC, PANIC | {"seq": 5}, PANIC | {"seq": 5}]  # the last says the same record again
    facts.write_text("\n".join(json.dumps(fact) for fact in some))
    text = "time,lat,lon,seq\n" + row(0, more=",0") + row(9, more=",10")
    result = replay(tmp_path, "truck.csv", text, "--facts", str(facts))
    assert faults(result) == ["1: no_seq"]
    assert codes(result) == ["ZONE_FOUND_INSIDE", "DRIVER_DISTRESS"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("[profile]\neaeu = true\n", 0),
        ("[zones]\nenter_fixes = 3\n", 0),
        ("late_s = inf\n", 2),
        ("jump_speed_m_s = nan\n", 2),
        (f"late_s = 1{'0' * 400}\n", 2),
        ("late_s = = 1\n", 2),
    ],
)
def test_thresholds_are_taken_or_refused_by_name(tmp_path: Path, text: str, status: int) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(text)
    result = replay(tmp_path, "truck.csv", HEAD + row(0), "--rules", str(rules))
    assert result.exit_code == status, result.stderr


@pytest.mark.parametrize(
    "text", ["garbage", "{}", '{"unit": "u", "next_seq": 1, "state": "00"}', "\x00"]
)
def test_a_state_that_no_replay_has_written_is_refused(tmp_path: Path, text: str) -> None:
    state = tmp_path / "state"
    state.write_text(text)
    result = replay(tmp_path, "truck.csv", HEAD + row(0), "--state", str(state))
    assert (result.exit_code, "no state" in result.stderr) == (1, True)
    assert state.read_text() == text
    nowhere = replay(tmp_path, "truck.csv", HEAD + row(0), "--state", str(tmp_path / "a" / "b"))
    assert nowhere.exit_code == 3


def test_shapes_in_a_damaged_packing_are_a_fault_of_the_file(tmp_path: Path) -> None:
    zones = tmp_path / "cut.geojson.gz"
    zones.write_bytes(gzip.compress(json.dumps(ZONE).encode())[:-9])
    result = RUNNER.invoke(app, ["detect", "check", str(zones)])
    assert (result.exit_code, "not_geojson" in result.stdout) == (6, True)


def test_each_row_is_late_or_not_by_its_own_receipt(tmp_path: Path) -> None:
    """A batch comes as a whole: rows that came at different times have never stood in one."""
    rows = [(60 * n, 41.005 if n % 2 else 41.5) for n in range(40)]
    text = "time,lat,lon,received\n" + "".join(
        f"{1_767_225_600 + t},{lat},69.005,{1_767_225_602 + t + (900 if t > 1_800 else 0)}\n"
        for t, lat in rows
    )
    found = [json.loads(line) for line in replay(tmp_path, "truck.csv", text).stdout.splitlines()]
    assert {line["late"] for line in found} == {False, True}
    for line in found:
        assert line["late"] == (line["confirmed_at"] > "2026-01-01T00:30:00.000Z"), line


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (json.dumps(ZONE).replace("69.01", "9" * 400, 1), "out_of_range"),
        (json.dumps(ZONE).replace('"z"', f'"z", "dwell_s": {"9" * 400}'), "bad_property"),
        (json.dumps(ZONE).replace('"z"', '"z", "dwell_s": NaN'), "bad_property"),
        (json.dumps(ZONE).replace("69.01", "1e400", 1), "not_finite"),
    ],
)
def test_a_number_that_no_shape_can_hold_is_a_fault(tmp_path: Path, text: str, code: str) -> None:
    zones = tmp_path / "zones.geojson"
    zones.write_text(text)
    result = RUNNER.invoke(app, ["detect", "check", str(zones), "--json"])
    assert (result.exit_code, json.loads(result.stdout)["code"]) == (6, code)


def test_an_empty_id_among_the_properties_leaves_the_features_own(tmp_path: Path) -> None:
    zones = tmp_path / "zones.geojson"
    zones.write_text(json.dumps(ZONE | {"id": 7, "properties": {"id": None}}))
    result = RUNNER.invoke(app, ["detect", "check", str(zones)])
    assert (result.exit_code, "1 zones" in result.stdout) == (0, True)


def seal_facts(tmp_path: Path, *orders: dict[str, object]) -> str:
    """A seal that is closed at first and opened 100 s later."""
    said = [
        {"unit": "truck", "time": 1_767_225_601, "kind": "seal", "seal_id": "S", "locked": True},
        {"unit": "truck", "time": 1_767_225_700, "kind": "seal", "seal_id": "S", "locked": False},
        *({"kind": "order", "id": "O", "seal": "S", "zone": "z"} | order for order in orders),
    ]
    facts = tmp_path / "facts.jsonl"
    facts.write_text("\n".join(json.dumps(fact) for fact in said))
    return str(facts)


PARKED = HEAD + "".join(f"{1_767_225_600 + 10 * n},41.005,69.005\n" for n in range(20))


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ({"time": 1_767_225_650}, "SEAL_OPENED"),  # of no journey and no time by name: it fits any
        ({"time": 1_767_225_650, "journey": "J9"}, "SEAL_OPEN_UNAUTHORISED"),
        ({"time": 1_767_225_701}, "SEAL_OPEN_UNAUTHORISED"),  # given afterwards
        ({"time": 1_767_225_650, "received": 1_767_225_701}, "SEAL_OPEN_UNAUTHORISED"),
    ],
)
def test_an_order_that_was_given_afterwards_legalises_nothing(
    tmp_path: Path, order: dict[str, object], found: str
) -> None:
    result = replay(tmp_path, "truck.csv", PARKED, "--facts", seal_facts(tmp_path, order))
    assert codes(result) == ["ZONE_FOUND_INSIDE", "SEAL_SEALED", found]


def test_a_fact_without_a_receipt_came_with_the_next_row_however_batches_are_cut(
    tmp_path: Path,
) -> None:
    text = "time,lat,lon,received\n" + "".join(
        f"{1_767_225_600 + 10 * n},41.005,69.005,{1_767_225_602 + 10 * n}\n" for n in range(20)
    )
    facts = seal_facts(tmp_path)
    found = replay(tmp_path, "truck.csv", text, "--facts", facts)
    opened = json.loads(found.stdout.splitlines()[-1])
    assert (opened["at"], opened["received"]) == (
        "2026-01-01T00:01:40.000Z",
        "2026-01-01T00:01:52.000Z",
    )
    for batch in ("1", "7", "1024"):
        assert replay(tmp_path, "truck.csv", text, "--facts", facts, "--batch", batch).stdout == (
            found.stdout
        )
