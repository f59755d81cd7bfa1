"""Any cutting of the bytes gives the same facts and counters (DEVICES section 9, tests 1 and 5)."""

from collections.abc import Callable, Sequence
from random import Random

from devices import Fact, Reader

NOW_MS = 1_800_000_000_000
LATER_MS = NOW_MS + 60_000  # every waiting for the rest of a frame has ended
CUTTINGS = 200

MakeReader = Callable[[], Reader]
Outcome = tuple[list[Fact], dict[str, int]]


def feed(make: MakeReader, pieces: Sequence[bytes]) -> Outcome:
    """Facts and counters, the end of waiting included."""
    reader = make()
    facts = [fact for piece in pieces for fact in reader.feed(piece, NOW_MS)]
    return facts + reader.wake(LATER_MS), dict(reader.counters)


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [*sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def check_any_cutting(make: MakeReader, data: bytes, seed: int = 4711) -> None:
    """Whole, byte by byte, and at 200 seeded cuttings."""
    whole = feed(make, [data])
    assert feed(make, [data[at : at + 1] for at in range(len(data))]) == whole
    rng = Random(seed)
    for _ in range(CUTTINGS):
        places = [rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 8))]
        assert feed(make, cut_at(data, places)) == whole


def check_each_offset(make: MakeReader, data: bytes) -> None:
    """Two pieces, cut at each offset."""
    whole = feed(make, [data])
    for offset in range(len(data) + 1):
        assert feed(make, [data[:offset], data[offset:]]) == whole
