"""`plomba wire judge`: the verdict on captured messages, one JSON line a case (WIRE section 19).

Law: what `expect` says is not looked at.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits
from wire import Refused

if TYPE_CHECKING:
    from wire.envelope import KeyOf


def judge(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON lines with topic, unit, public_key and hex; - for standard input."
        ),
    ],
) -> None:
    """Say what each message is worth: Accepted, or the name of the reason against it.

    Exit 1 if a line is no case, 3 if there is no such file, else 0 whatever the verdicts.
    """
    bad_lines = 0
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        try:
            verdict = verdict_of(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            bad_lines += 1
            typer.echo(
                f"{file}:{number}: no case: {error!r}; wanted are name, topic, unit, public_key, hex",
                err=True,
            )
            continue
        typer.echo(json.dumps(verdict, ensure_ascii=False))
    raise typer.Exit(exits.FAILED if bad_lines else exits.OK)


def verdict_of(case: dict[str, object]) -> dict[str, object]:
    """The verdict on one case as plain values: name, verdict, and for a batch head, fixes and events.

    Raises KeyError, ValueError or TypeError for what is no case.
    """
    topic = _text(case, "topic")
    lane = topic.rsplit("/", 1)[-1]
    read: Callable[[dict[str, object], str, bytes], dict[str, object]] = {
        "hello": _hello,
        "receipt": _receipt,
        "order": _order,
        "config": _order,
    }.get(lane, _batch)
    return {"name": case.get("name")} | read(case, topic, bytes.fromhex(_text(case, "hex")))


def _batch(case: dict[str, object], topic: str, message: bytes) -> dict[str, object]:
    from wire.batch import LinkKept, Sound, judge as judge_batch

    verdict = judge_batch(message, topic, _keys_of(case))
    match verdict:
        case Sound(head=head, body=body):
            columns = body.fixes
            names = columns.__slots__
            rows = [
                [getattr(columns, column)[index] or 0 for column in names]
                for index in range(len(columns))
            ]
            events = [[e.seq, e.kind, e.t_ms, e.mono_ms, _plain(e.data)] for e in body.events]
            return {"verdict": "Accepted", "head": head.hex(), "fixes": rows, "events": events}
        case LinkKept(head=head, reason=reason, detail=detail):
            return {
                "verdict": reason.value,
                "detail": detail,
                "link_kept": True,
                "head": head.hex(),
            }
        case _:
            return {"verdict": verdict.reason.value, "detail": verdict.detail}


def _hello(case: dict[str, object], topic: str, message: bytes) -> dict[str, object]:
    from wire.hello import judge as judge_hello

    return _said(judge_hello(message, topic, _keys_of(case)))


def _receipt(case: dict[str, object], _topic: str, message: bytes) -> dict[str, object]:
    from wire.envelope import kid_of
    from wire.receipts import ChainKnown, judge as judge_receipt

    state = _object(case, "state")
    heads = {
        int(number): bytes.fromhex(str(head)) for number, head in _object(state, "heads").items()
    }
    known = ChainKnown(
        covered=_number(state, "receipted"), newest=max(heads, default=-1), head_at=heads.get
    )
    public_key = bytes.fromhex(_text(case, "public_key"))
    verdict = judge_receipt(
        message,
        unit_id=_text(case, "unit"),
        receipt_keys={kid_of(public_key): public_key},
        chains={bytes.fromhex(_text(state, "chain")): known},
    )
    return _said(verdict)


def _order(case: dict[str, object], topic: str, message: bytes) -> dict[str, object]:
    from wire.envelope import kid_of
    from wire.orders import PlaceKnown, UnitState, judge as judge_order
    from wire.topics import Down

    state = _object(case, "state")
    fix = state.get("fix")
    seals = state["seals"]
    movement = state.get("movement")
    if not isinstance(seals, list):
        raise TypeError("seals is no list")
    public_key = bytes.fromhex(_text(case, "public_key"))
    verdict = judge_order(
        message,
        topic_what=Down(topic.rsplit("/", 1)[-1]),
        order_keys={kid_of(public_key): public_key},
        state=UnitState(
            unit_id=_text(case, "unit"),
            now_ms=_number(state, "now_ms"),
            time_quality=_number(state, "time_quality"),
            counter=_number(state, "counter"),
            config_version=_number(state, "config_version"),
            movement=None if movement is None else str(movement),
            seals=frozenset(str(seal) for seal in seals),
            place=PlaceKnown(**fix) if isinstance(fix, dict) else None,
        ),
    )
    return _said(verdict)


def _said(verdict: object) -> dict[str, object]:
    if isinstance(verdict, Refused):
        return {"verdict": verdict.reason.value, "detail": verdict.detail}
    return {"verdict": "Accepted"}


def _keys_of(case: dict[str, object]) -> "KeyOf":
    from wire.envelope import Key, kid_of

    public_key = bytes.fromhex(_text(case, "public_key"))
    revoked = case.get("key_state") == "revoked"
    keys = {
        kid_of(public_key): Key(unit_id=_text(case, "unit"), public_key=public_key, revoked=revoked)
    }
    more = case.get("more_keys", [])
    for other in more if isinstance(more, list) else []:
        raw = bytes.fromhex(other["public_key"])
        keys[kid_of(raw)] = Key(unit_id=other["unit"], public_key=raw)
    return keys.get


def _plain(datum: object) -> object:
    """A value of an event as JSON can say it: bytes as {"bin": hex}."""
    if isinstance(datum, bytes):
        return {"bin": datum.hex()}
    if isinstance(datum, tuple):
        return [_plain(element) for element in datum]
    return datum


def _lines(file: Path) -> Iterable[str]:
    if str(file) == "-":
        return sys.stdin
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        typer.echo(
            f"{file}: {error.strerror}; name a file of JSON lines, or - for standard input",
            err=True,
        )
        raise typer.Exit(exits.NOT_FOUND) from error


def _text(case: dict[str, object], key: str) -> str:
    value = case[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _number(case: dict[str, object], key: str) -> int:
    value = case[key]
    if not isinstance(value, int):
        raise TypeError(f"{key} is no integer")
    return value


def _object(case: dict[str, object], key: str) -> dict[str, object]:
    value = case[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is no object")
    return value
