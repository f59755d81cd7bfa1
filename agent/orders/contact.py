"""A seal's first contact: its password, its channels, its cards; and what is different later (DEVICES section 4.5).

Law: only where the settings say so, for it changes a device. What is about to be said is kept before it is said, so that a crash goes
on where it was. A password is in no `repr`, no fact and no record.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from agent.orders import FIRST_CONTACT_PROTOCOL
from agent.orders.means import SealOrder
from devices import Fact, SealAnswer, SealEvent, SealReport
from devices.jt701 import CardsList, ChangePassword, Channels, EnrolOff

FACTORY_PASSWORD = "888888"  # noqa: S105  # what every lock of this kind is delivered with (DEVICES section 4.5)
RETRY_MS = 60_000
ANSWER_MS_MAX = 40_000  # 10 s in the lock's conversation, behind three others at most
TRIES_MAX = 4  # of passwords, in a row: at the fifth wrong one the lock raises an alarm
REST_MS = 3_600_000  # after so many without an answer
CARDS_A_GROUP = 20
GROUPS_MAX = 5  # the lock holds a hundred cards
LOOK_AGAIN_MS = 86_400_000


class Do(Enum):
    """The steps, in their order."""

    PASSWORD = "password"  # noqa: S105  # the name of a step
    CHANNELS = "channels"
    ENROL_OFF = "enrol_off"
    CARDS = "cards"


COMMANDS = {Do.PASSWORD: "P44", Do.CHANNELS: "P59", Do.ENROL_OFF: "P42", Do.CARDS: "P41"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What the unit keeps of a seal, for itself alone."""

    password: str | None = field(default=None, repr=False)  # in force since the first contact
    next_password: str | None = field(default=None, repr=False)  # said, or about to be said
    done: frozenset[str] = frozenset()
    cards: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Record `changed`, then keep `keep`, then say `say`."""

    changed: SealEvent | None = None
    keep: Keep | None = None
    say: SealOrder | None = None
    trouble: str = ""


class Contact:
    """With one seal. Speaks when the seal has spoken: then it is awake."""

    def __init__(
        self, seal_id: str, keep: Keep, *, first_password: str | None, fresh: Callable[[], str]
    ) -> None:
        """`first_password`: the one that it has now; None: the factory's. `fresh`: a random one."""
        self.keep = keep
        self._seal_id = seal_id
        self._first = FACTORY_PASSWORD if first_password is None else first_password
        self._fresh = fresh
        self._asked: tuple[Do, int] | None = None
        self._due_ms = 0
        self._tries = 0
        self._refused = False  # the lock has refused the old password ...
        self._refused_both = False  # ... and then the next one
        self._given_up = False
        self._questions = False  # the lock was asked whether the next password is in force ...
        self._is_old = False  # ... and has said that it is not
        self._group = 1
        self._cards: list[str] = []

    @property
    def changes_password(self) -> bool:
        """Whether nobody knows which password is in force."""
        return self.keep.next_password is not None

    def kept(self, keep: Keep) -> None:
        """It is on the disk."""
        self.keep = keep

    def hear(self, fact: Fact, mono_ms: int) -> Turn | None:
        """The seal has spoken."""
        if isinstance(fact, SealAnswer):
            return self._hear_answer(fact, mono_ms)
        if isinstance(fact, SealEvent) and fact.kind == "cards_registered":
            self._due_ms = min(self._due_ms, mono_ms)  # look now, and not tomorrow
        if isinstance(fact, SealReport | SealEvent):
            return self.speak(mono_ms)
        return None

    def speak(self, mono_ms: int) -> Turn | None:
        """What is to be said next, if its time has come."""
        if self._asked is not None and mono_ms - self._asked[1] >= ANSWER_MS_MAX:
            self._asked = None
        if self._asked is not None or mono_ms < self._due_ms:
            return None
        step = next((one for one in Do if one.value not in self.keep.done), Do.CARDS)
        if step is Do.PASSWORD and (self._given_up or self._tries >= TRIES_MAX):
            return self._rest(mono_ms)
        self._asked = (step, mono_ms)
        return self._say(step)

    def _say(self, step: Do) -> Turn:
        match step:
            case Do.PASSWORD:
                return self._say_password()
            case Do.CHANNELS:
                order = Channels(sms=False, gprs=False, card=True, serial=True, bluetooth=False)
                return Turn(say=order)
            case Do.ENROL_OFF:
                return Turn(say=EnrolOff())
            case Do.CARDS:
                return Turn(say=CardsList(group=self._group))

    def _rest(self, mono_ms: int) -> Turn | None:
        """Enough passwords were said for now."""
        if self._given_up:
            return None
        if self._refused_both:
            self._given_up = True
            return Turn(trouble="the seal refuses the password that it should have")
        self._tries, self._due_ms = 0, mono_ms + REST_MS
        return None

    def _say_password(self) -> Turn:
        self._tries += 1
        self._questions = False
        old = self.keep.password or self._first
        following = self.keep.next_password
        if following is None:
            following = self._fresh()
            keep = replace(self.keep, next_password=following)
            return Turn(keep=keep, say=ChangePassword(new=following, old=old))
        if self._is_old:
            return Turn(say=ChangePassword(new=following, old=old))
        # It was said before a crash, or its answer was lost: changed into itself, the lock tells which is in force.
        self._questions = True
        return Turn(say=ChangePassword(new=following, old=following))

    def _hear_answer(self, fact: SealAnswer, mono_ms: int) -> Turn | None:
        if self._asked is None or fact.command != COMMANDS[self._asked[0]]:
            return None
        step, _ = self._asked
        self._asked = None
        if fact.ok is None:
            self._due_ms = mono_ms + RETRY_MS
            self._is_old = False
            return None
        match step:
            case Do.PASSWORD:
                return self._hear_password(ok=fact.ok)
            case Do.CARDS:
                return self._hear_cards(fact, mono_ms)
            case _:
                return Turn(keep=self._done(step))

    def _hear_password(self, *, ok: bool) -> Turn | None:
        if ok:
            following = self.keep.next_password
            keep = replace(self._done(Do.PASSWORD), password=following, next_password=None)
            return Turn(keep=keep)
        # Behind a crash an answer may be one to the start before: so the other one is tried again, and then this.
        self._is_old = self._questions
        self._refused_both = self._refused_both or (self._refused and self._questions)
        self._refused = self._refused or not self._questions
        return None

    def _hear_cards(self, fact: SealAnswer, mono_ms: int) -> Turn | None:
        if fact.values[:2] != ("0", str(self._group)) or len(fact.values) < 3:
            self._due_ms = mono_ms + RETRY_MS  # an answer to another question
            return None
        cards = fact.values[3:]
        self._cards += cards
        if len(cards) >= CARDS_A_GROUP and self._group < GROUPS_MAX:
            self._group += 1
            return None
        found = tuple(sorted(self._cards))
        self._group, self._cards = 1, []
        self._due_ms = mono_ms + LOOK_AGAIN_MS
        known = self.keep.cards
        if known == found:
            return None
        keep = replace(self._done(Do.CARDS), cards=found)
        if known is None:
            return Turn(keep=keep)
        return Turn(changed=self._changed(fact.at_ms, set(known) ^ set(found)), keep=keep)

    def _changed(self, at_ms: int, cards: set[str]) -> SealEvent:
        return SealEvent(
            at_ms=at_ms,
            seal_id=self._seal_id,
            protocol=FIRST_CONTACT_PROTOCOL,
            time_ms=None,
            kind="cards_changed",
            source=None,
            card=min(cards, default=None),
            alarm=True,
        )

    def _done(self, step: Do) -> Keep:
        return replace(self.keep, done=self.keep.done | {step.value})
