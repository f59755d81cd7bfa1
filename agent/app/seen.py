"""What went by on the way of the facts, for those who look on: the unit's page, its counters, the updater (EDGE section 9).

Law: remembers the newest only; decides nothing and keeps nothing back.
"""

from collections import Counter
from collections.abc import Sequence

from agent import Kept
from agent.recorder.facts import AnyFact, PowerState
from devices import GnssStatus, SealAlive, SealEvent, SealReport
from wire.records import EventKind, FixRecord

SEALS_MAX = 64  # as many as a line can bear; the one heard of longest ago is forgotten first


class Seen:
    """Counters by kind, and when what was heard."""

    def __init__(self) -> None:
        self.facts: Counter[str] = Counter()  # by the fact's own name
        self.records: Counter[str] = Counter()  # by the event's name, and "fix"
        self.seals_heard: dict[str, int] = {}  # mono_ms by seal_id
        self.power: PowerState | None = None
        self.sky: GnssStatus | None = None
        self.urgent_mono_ms: int | None = None

    def heard(self, fact: AnyFact, mono_ms: int) -> None:
        """A fact came."""
        self.facts[type(fact).__name__] += 1
        match fact:
            case SealReport() | SealEvent() | SealAlive():
                self.seals_heard.pop(fact.seal_id, None)
                self.seals_heard[fact.seal_id] = mono_ms
                if len(self.seals_heard) > SEALS_MAX:
                    del self.seals_heard[next(iter(self.seals_heard))]
            case PowerState():
                self.power = fact
            case GnssStatus():
                self.sky = fact
            case _:
                pass

    def kept(self, kept: Sequence[Kept], mono_ms: int) -> None:
        """These became records."""
        for one in kept:
            record = one.record
            name = "fix" if isinstance(record, FixRecord) else _name_of(record.kind)
            self.records[name] += 1
            if one.urgent:
                self.urgent_mono_ms = mono_ms


def _name_of(kind: int) -> str:
    return EventKind(kind).name.lower() if kind in set(EventKind) else f"kind {kind}"
