"""How a serial link stands, from what its port does and its reader says (DEVICES section 7, States).

Law: knows no port and no clock; the thread that owns both tells it, and hands its words to the recorder.
"""

from collections.abc import Sequence

from agent.recorder.facts import LinkState, PortState, SealSilence
from agent.recorder.settings import Role
from devices import Fact, Fix, GnssStatus, NoFix, Odd, ReaderAnswer, SealAnswer, SealSecret, TagRead

NOISE_MS = 5_000  # bytes and nothing valid; as long as BaudHunt gives a rate that was right
MUTE_MS = 10_000  # a receiver speaks every second, a slow one every five
HUNTED_MS = 60_000  # two rounds of rates: this is no matter of the rate
PLACE_OLD_MS = 5_000  # the receiver talks, but of no place
SILENT_MS_MIN = 120_000  # DEVICES section 7
SILENT_MS_MAX = 86_400_000  # a seal that speaks once a day is still one that speaks
SEALS_MAX = 64  # on one line; a gateway serves a dozen

Word = PortState | SealSilence


class LinkWatch:
    """One link. Each event answers with what changed."""

    def __init__(self, *, name: str, role: Role, protocol: str, hunts: bool) -> None:
        self.state = LinkState.ABSENT
        self._name = name
        self._role = role
        self._protocol = protocol
        self._hunts = hunts
        self._opened_ms = 0
        self._byte_ms: int | None = None  # the last byte since it was opened
        self._noise_ms: int | None = None  # the first byte since the last valid frame
        self._valid_ms: int | None = None  # the last valid frame, ever
        self._valid_here = False  # since it was opened
        self._place_ms: int | None = None
        self._place = LinkState.NO_FIX
        self._seals: dict[str, _Seal] = {}

    def closed(self, state: LinkState, mono_ms: int) -> list[Word]:
        """The port is ABSENT or BUSY."""
        return self._to(state, mono_ms)

    def opened(self, mono_ms: int) -> list[Word]:
        """The port is open; nothing was read yet."""
        self._opened_ms = mono_ms
        self._byte_ms = self._noise_ms = self._place_ms = None
        self._valid_here = False
        return self._to(LinkState.OPENING, mono_ms)

    def heard(
        self, *, bytes_seen: int, valid: int, facts: Sequence[Fact], mono_ms: int
    ) -> list[Word]:
        """So many bytes, so many valid frames or sentences in them, and what they say."""
        if bytes_seen:
            self._byte_ms = mono_ms
            self._noise_ms = mono_ms if self._noise_ms is None else self._noise_ms
        words: list[Word] = []
        told = [fact for fact in facts if not isinstance(fact, Odd) and not _is_silence(fact)]
        if valid or told:
            self._valid_ms, self._noise_ms, self._valid_here = mono_ms, None, True
        for fact in told:
            words += self._hear(fact, mono_ms)
        return words + self.wake(mono_ms)

    def wake(self, mono_ms: int) -> list[Word]:
        """Time has passed. Asked at least once a second while the port is open."""
        if self.state in {LinkState.ABSENT, LinkState.BUSY}:
            return []
        words: list[Word] = []
        for seal_id, seal in self._seals.items():
            if not seal.silent and mono_ms - seal.heard_ms >= seal.silent_ms:
                seal.silent = True
                words.append(SealSilence(seal_id=seal_id, protocol=self._protocol, silent=True))
        state = self._gps(mono_ms) if self._role is Role.GPS else self._line(mono_ms)
        return self._to(state, mono_ms) + words

    def _hear(self, fact: Fact, mono_ms: int) -> list[Word]:
        match fact:
            case Fix():
                self._place_ms, self._place = mono_ms, LinkState.FIX
            case NoFix():
                self._place_ms, self._place = mono_ms, LinkState.NO_FIX
            case GnssStatus() | TagRead() | ReaderAnswer() | Odd() | SealSecret():
                pass
            case _:
                return self._hear_seal(fact.seal_id, mono_ms)
        return []

    def _hear_seal(self, seal_id: str, mono_ms: int) -> list[Word]:
        seal = self._seals.get(seal_id)
        if seal is None:
            if len(self._seals) < SEALS_MAX:
                self._seals[seal_id] = _Seal(mono_ms)
            return []
        was_silent = seal.silent
        seal.hear(mono_ms)
        if not was_silent:
            return []
        return [SealSilence(seal_id=seal_id, protocol=self._protocol, silent=False)]

    def _gps(self, mono_ms: int) -> LinkState:
        if mono_ms - (self._byte_ms or self._opened_ms) >= MUTE_MS:
            return LinkState.MUTE
        if self._noise_ms is not None and mono_ms - self._noise_ms >= NOISE_MS:
            hunted = mono_ms - self._opened_ms >= HUNTED_MS
            return LinkState.HUNTING if self._hunts and not hunted else LinkState.NOISE
        if not self._valid_here:
            return LinkState.HUNTING if self._hunts else LinkState.OPENING
        if self._place_ms is None or mono_ms - self._place_ms >= PLACE_OLD_MS:
            return LinkState.NO_FIX
        return self._place

    def _line(self, mono_ms: int) -> LinkState:
        if not self._valid_here:
            waited = mono_ms - self._opened_ms
            return LinkState.OPENING if waited < SILENT_MS_MIN else LinkState.SILENT
        assert self._valid_ms is not None
        longest_ms = max((seal.silent_ms for seal in self._seals.values()), default=SILENT_MS_MIN)
        silent = mono_ms - self._valid_ms >= longest_ms
        return LinkState.SILENT if silent else LinkState.TALKING

    def _to(self, state: LinkState, mono_ms: int) -> list[Word]:
        if state is self.state:
            return []
        self.state = state
        silent_ms = None if self._valid_ms is None else mono_ms - self._valid_ms
        return [PortState(name=self._name, role=self._role, state=state, silent_ms=silent_ms)]


def _is_silence(fact: Fact) -> bool:
    """An order without an answer is our own word, and no sign of life."""
    return isinstance(fact, SealAnswer | ReaderAnswer) and fact.ok is None and not fact.values


class _Seal:
    """When one seal spoke, and how often it does."""

    def __init__(self, mono_ms: int) -> None:
        self.heard_ms = mono_ms
        self.silent = False
        self.silent_ms = SILENT_MS_MIN

    def hear(self, mono_ms: int) -> None:
        if not self.silent:  # a silence says nothing about the interval
            interval_ms = mono_ms - self.heard_ms
            # Bursts of alarms come close together: the interval shrinks slowly and grows at once.
            learnt_ms = max(3 * interval_ms, self.silent_ms * 9 // 10)
            self.silent_ms = min(max(learnt_ms, SILENT_MS_MIN), SILENT_MS_MAX)
        else:
            self.silent_ms = min(2 * self.silent_ms, SILENT_MS_MAX)  # it may simply speak seldom
        self.heard_ms, self.silent = mono_ms, False
