"""The recorder itself: one door for all facts, one for time."""

from collections import Counter
from collections.abc import Collection

from agent import Kept, Moment, Weight
from agent.recorder.facts import AnyFact, Panic
from agent.recorder.fixes import fix_record
from agent.recorder.settings import RecorderSettings
from devices import Fix
from wire.records import EventKind, EventRecord


class Recorder:
    """Facts in, records out. `take` is total: whatever comes is kept, thinned or counted."""

    def __init__(self, settings: RecorderSettings) -> None:
        self.counters: Counter[str] = Counter()
        self._settings = settings
        self._armed: frozenset[str] = frozenset()
        self._pressure = 0

    @property
    def may_acknowledge(self) -> bool:
        """False if the last fact taken was refused by a limit: its device shall keep it and say it again."""
        return True

    @property
    def moving(self) -> bool | None:
        """Whether the positions say that the unit moves; None: it does not know yet."""
        return None

    @property
    def sealed(self) -> bool:
        """Whether the sealed profiles are in force: a seal is armed, or says that it is locked."""
        return bool(self._armed)

    def armed(self, seal_ids: Collection[str]) -> None:
        """These seals are armed by order, and no others."""
        self._armed = frozenset(seal_ids)

    def pressure(self, level: int) -> None:
        """How short of space the outbox is: 0 to 3; 4: nothing but evidence is recorded."""
        self._pressure = level

    def take(self, fact: AnyFact, moment: Moment, source: str) -> list[Kept]:
        """The records that follow from `fact`, heard at `moment` on the link `source`, in chain order."""
        if isinstance(fact, Fix):
            record = fix_record(fact, moment, flags=0)
            return [Kept(record=record)] if record is not None else []
        if isinstance(fact, Panic):
            event = EventRecord(
                kind=EventKind.PANIC,
                t_ms=moment.utc_ms,
                mono_ms=moment.mono_ms,
                data=(fact.source,),
            )
            return [Kept(record=event, urgent=True, weight=Weight.EVIDENCE)]
        return []

    def wake(self, moment: Moment) -> list[Kept]:
        """Time has passed: what was held back, heartbeats."""
        return []

    def next_deadline(self) -> int | None:
        """When `wake` wants to be called, in mono_ms."""
        return None
