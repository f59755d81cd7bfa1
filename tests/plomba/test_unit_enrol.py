"""The commands that let units in, over a store of their own; two people over real users are in tests/live/test_enrolment.py."""

from base64 import b32decode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plomba.__main__ import app

RUNNER = CliRunner()


def run(data: Path, *words: str) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, ["unit", *words, "--data", str(data)])
    return done.exit_code, done.stdout, done.stderr


def test_a_token_has_256_bits_and_is_shown_once(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "enrol-token", "uz-0042", "--no-qr")
    assert code == 0
    token = out.strip()
    assert len(b32decode(token + "====")) == 32
    assert "another person" in err
    assert run(tmp_path, "enrolments")[0] == 0
    store = (tmp_path / "collector.db").read_bytes()
    assert token.encode() not in store
    assert b32decode(token + "====") not in store


def test_a_token_comes_with_its_picture(tmp_path: Path) -> None:
    _, out, _ = run(tmp_path, "enrol-token", "uz-0042")
    assert len(out.splitlines()) > 12


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("enrol-token", "UZ"), 2),
        (("approve", "uz-0042", "--fingerprint", "12"), 2),
        (("approve", "uz-0042", "--fingerprint", "0123 4567 89ab cdef"), 3),
        (("refuse", "uz-0042", "--fingerprint", "0123456789abcdef"), 3),
        (("revoke", "uz-0042", "--reason", "lost"), 3),
        (("revoke", "uz-0042", "--reason", ""), 2),
        (("enrolments",), 3),  # no collector has stored anything here, and none is made
    ],
)
def test_each_command_ends_in_its_code(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    assert run(tmp_path, *words)[0] == code
