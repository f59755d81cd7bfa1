"""What a command hears on the live stream."""

from collector.api import frames
from plomba.stream import Told, events_of


def lines(*parts: bytes) -> list[bytes]:
    return b"".join(parts).splitlines(keepends=True)


def test_events_are_read_as_the_centre_writes_them() -> None:
    said = lines(
        frames.retry(1_500),
        frames.deploy_event("7"),
        frames.alert_event([{"id": "00", "p": {"value": "a: b"}}], feed=3),
        b": a comment that keeps a proxy awake\n\n",
        frames.event("units", {"f": 4, "t": 1, "u": []}, id_=4),
    )
    assert list(events_of(said)) == [
        Told(name="deploy", data={"build": "7"}, number=None),
        Told(
            name="alert", data={"f": 3, "rows": [{"id": "00", "p": {"value": "a: b"}}]}, number=None
        ),
        Told(name="units", data={"f": 4, "t": 1, "u": []}, number=4),
    ]


def test_an_event_that_is_cut_off_is_none() -> None:
    whole = frames.event("units", {"f": 4}, id_=4)
    assert list(events_of(lines(whole[:-1]))) == []
    assert len(list(events_of(lines(whole, whole[:-1])))) == 1
