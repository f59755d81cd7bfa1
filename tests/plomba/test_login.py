"""`plomba login` and `plomba user` against a real API: tokens lie in files of their own, secrets are told once."""

import asyncio
import contextlib
import io
import json
import os
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from collector.io import clock
from collector.people import Role
from collector.store.database import Store
from plomba import tokens
from plomba.__main__ import app
from plomba.centre import Centre as Asking, table_of
from tests.collector.api_rig import PASSWORD, code_at
from tests.collector.api_thread import Centre, running
from tests.collector.fleet import Centre as Fleet, FleetUnit
from tests.collector.test_tick import panic

RUNNER = CliRunner()
CHANGES_WHAT_IS_THERE = (
    ("alert", "history", "abcdef"),
    ("alert", "load"),
    ("case", "list"),
    ("case", "open", "abcdef"),
    ("case", "arrive", "1"),
    ("journey", "add", "uz-0042", "J1"),
    ("unit", "approve", "uz-0042", "--fingerprint", "0123 4567 89ab cdef"),
    ("unit", "enrolments"),
    ("unit", "gap-close", "uz-0042", "--reason", "drowned"),
    ("unit", "order", "uz-0042", "report"),
    ("unit", "order-withdraw", "abcdef"),
    ("unit", "plate", "uz-0042", "01A123BC"),
    ("unit", "revoke", "uz-0042", "--reason", "stolen"),
    ("unit", "stop", "uz-0042", "--reason", "a tip"),
)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with running(tmp_path_factory.mktemp("centre"), users=(("bob", Role.ADMIN),)) as made:
        yield made


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    for name in (tokens.FILE, tokens.WORD):
        monkeypatch.delenv(name, raising=False)


def run(centre: Centre, *words: str, said: str = "") -> Result:
    return RUNNER.invoke(app, [*words, "--data", str(centre.data_dir)], input=said)


def log_in(centre: Centre, user: str = "bob", password: str = PASSWORD) -> Result:
    return run(centre, "login", "--user", user, said=f"{password}\n")


def test_without_a_session_a_command_says_how_to_get_one(centre: Centre) -> None:
    done = run(centre, "unit", "list")
    assert done.exit_code == 4
    assert "plomba login --local" in done.stderr


def test_a_session_lies_in_a_file_that_nobody_else_reads(centre: Centre, tmp_path: Path) -> None:
    done = run(centre, "login", "--local")
    assert done.exit_code == 0, done.stderr
    [file] = (tmp_path / "home" / "plomba" / "tokens").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(centre, "unit", "list").exit_code == 0
    file.chmod(0o644)
    done = run(centre, "unit", "list")
    assert (done.exit_code, "others can read it" in done.stderr) == (4, True)
    file.chmod(0o600)
    assert run(centre, "logout").exit_code == 0
    assert not file.exists()
    assert run(centre, "unit", "list").exit_code == 4


def test_a_centre_without_its_broker_says_so_and_is_bad(centre: Centre) -> None:
    assert run(centre, "login", "--local").exit_code == 0
    done = run(centre, "collector", "status")
    assert (done.exit_code, done.stderr) == (6, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["broker"] == "embedded, shut"
    assert lines["store"] == "keeps what comes"
    assert "last batch   none yet" in done.stdout
    done = run(centre, "collector", "status", "--json")
    assert (done.exit_code, json.loads(done.stdout)["ok"]) == (6, False)
    doctor = run(centre, "doctor", "--json")
    [line] = (
        row for row in map(json.loads, doctor.stdout.splitlines()) if row["check"] == "collector"
    )
    assert (line["grade"], "plomba collector status" in line["hint"]) == ("bad", True)


def test_a_password_is_asked_for_and_a_wrong_one_is_refused(centre: Centre) -> None:
    done = log_in(centre, password="four grey trucks")
    assert (done.exit_code, "user or password is wrong" in done.stderr) == (4, True)
    done = log_in(centre)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("bob, admin, until ")
    assert PASSWORD not in done.output


def test_what_a_role_may_not_see_is_exit_4(centre: Centre) -> None:
    assert log_in(centre).exit_code == 0
    done = run(centre, "unit", "list")
    assert (done.exit_code, "not for admins" in done.stderr) == (4, True)


def test_a_user_is_made_set_up_given_another_role_and_locked_out(centre: Centre) -> None:
    assert log_in(centre).exit_code == 0
    made = run(centre, "user", "add", "anna", "--role", "operator", "--scope", "uz", "--json")
    assert made.exit_code == 0, made.stderr
    url = json.loads(made.stdout)["url"]
    assert url.startswith(f"{centre.url}/setup#")
    done = run(centre, "user", "setup", said=f"{url}\nnine loud geese at dawn\n")
    assert done.stdout.startswith("otpauth://totp/Plomba%3Aanna?secret=")
    done = run(centre, "user", "setup", said=f"{url}\nnine loud geese at dawn\n")
    assert done.exit_code == 4  # once
    assert run(centre, "user", "role", "anna", "auditor").stdout == "anna: auditor, scope uz\n"
    assert run(centre, "user", "scope", "anna", "").stdout == "anna: auditor\n"
    assert "locked since" in run(centre, "user", "lock", "anna").stdout
    assert log_in(centre, "anna", "nine loud geese at dawn").exit_code == 4
    assert run(centre, "user", "unlock", "anna").exit_code == 0
    listed = run(centre, "user", "list", "--json").stdout.splitlines()
    rows = {row["user"]: row for row in map(json.loads, listed)}
    assert (rows["anna"]["role"], rows["anna"]["set_up"]) == ("auditor", True)


def test_on_its_own_machine_a_lost_admin_gets_a_new_link(centre: Centre) -> None:
    done = run(centre, "user", "setup-link", "nobody", "--local")
    assert done.exit_code == 3
    log_in(centre)
    run(centre, "user", "add", "lost", "--role", "admin")
    done = run(centre, "user", "setup-link", "lost", "--local", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["path"].startswith("/setup#")


def test_a_secret_does_not_travel_in_the_open(centre: Centre) -> None:
    done = run(centre, "login", "--user", "bob", "--api", "http://192.0.2.1:8480", said="x\n")
    assert (done.exit_code, "without TLS" in done.stderr) == (4, True)


def test_a_token_goes_to_the_collector_that_gave_it_only(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.keep("http://127.0.0.1:9", "another's")
    assert tokens.token_for(centre.url) == ""
    monkeypatch.setenv(tokens.WORD, "mine")
    assert tokens.token_for(centre.url) == "mine"
    with pytest.raises(tokens.TokenError, match="without TLS"):
        tokens.token_for("http://192.0.2.1:8480")
    assert Asking(centre.data_dir).alive()["build"] == "7"


def test_a_wrong_role_is_said_before_anybody_is_asked(centre: Centre) -> None:
    assert run(centre, "user", "add", "x1", "--role", "god").exit_code == 2
    assert run(centre, "login", "--local", "--role", "officer").exit_code == 2


# acts on alerts by an account


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    users = (("anna", Role.OPERATOR), ("sara", Role.SUPERVISOR))
    with running(tmp_path_factory.mktemp("room"), users=users) as made:
        asyncio.run(latched_alert(made.data_dir))
        yield made


async def latched_alert(data_dir: Path) -> None:
    async with await Store.open(f"sqlite:///{data_dir / 'collector.db'}") as store:
        centre, unit = Fleet(store), FleetUnit(unit_id="uz-01")
        await centre.enrol(unit)
        unit.begin()
        unit.seal([panic(unit)])
        await centre.hear(unit, *(sealed.envelope for sealed in unit.sealed))


@pytest.mark.long
def test_an_operator_acts_in_his_own_name_and_a_supervisor_seconds(room: Centre) -> None:
    assert log_in(room, "anna").exit_code == 0
    [row] = map(json.loads, run(room, "alert", "list", "--json").stdout.splitlines())
    some = str(row["id"])[:8]
    assert run(room, "alert", "ack", some, "--seen", "0").exit_code == 1
    done = run(room, "alert", "ack", some, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "ACKED"
    assert "in hand of anna" in run(room, "alert", "take", some).stdout
    assert run(room, "alert", "shelve", some, "--reason", "x").exit_code == 1  # a P1 never is
    assert run(room, "alert", "reset", some, "--reason", "x").exit_code == 2  # no outcome
    said = ("--outcome", "FALSE", "--reason", "a drill")
    done = run(room, "alert", "resolve", some, *said)  # two persons close a latched one
    assert (done.exit_code, bool(done.stderr.strip())) == (1, True)
    assert run(room, "alert", "reset", some, *said).exit_code == 0
    assert run(room, "alert", "second", some).exit_code == 4  # an operator
    assert log_in(room, "sara").exit_code == 0
    done = run(room, "alert", "second", some)
    assert (done.exit_code, "second factor" in done.stderr) == (4, True)
    code = code_at(clock.now_ms())
    assert run(room, "step-up", said=f"{code}\n").exit_code == 0
    assert "CLOSED" in run(room, "alert", "second", some).stdout
    history = run(room, "alert", "history", some, "--json").stdout.splitlines()
    acts = [(row["act"], row["by"]) for row in map(json.loads, history) if row["by"]]
    assert acts == [
        ("ack", "anna"),
        ("take", "anna"),
        ("reset", "anna"),
        ("second", "sara"),
    ]


def test_a_local_session_acts_on_the_store_as_before(room: Centre) -> None:
    assert run(room, "login", "--local").exit_code == 0
    done = run(room, "alert", "resolve", "0" * 6)
    assert (done.exit_code, "plomba login" in done.stderr) == (4, True)
    assert run(room, "alert", "ack", "0" * 6).exit_code == 3


def test_what_no_route_does_is_done_at_the_collector_s_own_machine(
    room: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(room, "anna").exit_code == 0
    said = ("alert", "suppress", "abcdef", "--for", "30min", "--reason", "x")
    assert run(room, *said).exit_code == 3
    monkeypatch.setenv("PLOMBA_API", room.url)
    done = run(room, *said)
    assert (done.exit_code, "own machine" in done.stderr) == (4, True)


# where a token goes


class _SendsOn(BaseHTTPRequestHandler):
    """A collector, or what has taken its place: it sends whoever asks to another address."""

    def _go(self) -> None:
        self.send_response(307)
        self.send_header("Location", self.server.there)  # type: ignore[attr-defined]  # set below
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _go  # noqa: N815  # the library's names

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def sending_on(there: str) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _SendsOn)
    server.there = there  # type: ignore[attr-defined]  # for the handler
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_token_is_not_sent_on_to_another_address(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tokens.WORD, "a secret word")
    with sending_on(f"{centre.url}/healthz") as url:  # which would answer, and see the token
        assert run(centre, "unit", "watch", "--api", url).exit_code == 4
        done = run(centre, "unit", "show", "uz-01", "--api", url)
    assert (done.exit_code, f"sends on to {centre.url}/healthz" in done.stderr) == (5, True)


def test_a_session_that_cannot_be_used_is_logged_out_all_the_same(
    centre: Centre, tmp_path: Path
) -> None:
    assert run(centre, "login", "--local").exit_code == 0
    [file] = (tmp_path / "home" / "plomba" / "tokens").iterdir()
    file.chmod(0o644)  # and the message says: plomba logout
    assert run(centre, "logout").exit_code == 4
    assert not file.exists()
    tokens.keep(centre.url, "of a session that is over")
    assert run(centre, "logout").exit_code == 4
    assert not file.exists()


def test_a_place_where_no_token_can_lie_is_said(
    centre: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file, not a folder")
    done = run(centre, "login", "--local")
    assert (done.exit_code, "--token-file" in done.stderr) == (1, True)


def test_what_is_no_file_holds_no_token(
    centre: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tokens.FILE, "")  # what the option leaves in this process goes with it
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for place in (tmp_path, pipe):  # a pipe without a writer would be waited at for ever
        done = run(centre, "--token-file", str(place), "unit", "list")
        assert (done.exit_code, f"{place}: is no file" in done.stderr) == (4, True)
    done = run(centre, "--token-file", str(tmp_path), "logout")
    assert (done.exit_code, f"{tmp_path}: " in done.stderr) == (1, True)


def test_a_name_that_no_path_can_hold_is_not_found_and_asks_nothing_else(centre: Centre) -> None:
    assert run(centre, "login", "--local").exit_code == 0
    for name in ("no unit", "a?b=c", "a#b", "ўз-01"):
        done = run(centre, "unit", "show", name)
        assert (done.exit_code in (2, 3), "does not answer" in done.stderr) == (True, False), name


def test_who_names_a_collector_acts_at_that_one_or_not_at_all(
    centre: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "laptop"
    done = RUNNER.invoke(app, ["alert", "ack", "abcdef", "--data", str(elsewhere)])
    assert (done.exit_code, "no collector has stored anything" in done.stderr) == (3, True)
    monkeypatch.setenv("PLOMBA_API", centre.url)
    done = RUNNER.invoke(app, ["alert", "ack", "abcdef", "--data", str(elsewhere)])
    assert (done.exit_code, "plomba login" in done.stderr) == (4, True)
    for words in CHANGES_WHAT_IS_THERE:
        assert RUNNER.invoke(app, [*words, "--data", str(elsewhere)]).exit_code == 3
    assert not elsewhere.exists()  # and nothing was made


def test_the_list_shows_what_an_act_takes_and_a_narrow_terminal_cuts_nothing_off(
    room: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(room, "login", "--local").exit_code == 0
    [row] = map(
        json.loads, run(room, "alert", "list", "--view", "all", "--json").stdout.splitlines()
    )
    listed = run(room, "alert", "list", "--view", "all").stdout
    assert f"{row['id'][:8]} " in listed
    assert run(room, "alert", "history", row["id"][:8]).exit_code == 0
    narrow = Console(width=80, file=io.StringIO())
    narrow.print(
        table_of(
            ("", "id", "code", "at", "where"),
            [("P1", "0011aabb", "C" * 60, "2026-11-22T06:00:00Z", "w" * 60)],
        )
    )
    assert isinstance(narrow.file, io.StringIO)
    shown = narrow.file.getvalue()
    assert "\u2026" not in shown
    assert shown.count("C") == 60
    assert "2026-11-22T06:00:00Z" in shown
