"""How an unlock is said to a seal, and what in its words speaks of it (DEVICES sections 4.2 and 4.3).

Law: an unlock is said in one way, once. What cannot be said in the seal's protocol is found out before anything is committed.
"""

from dataclasses import dataclass

from devices import DataType, MisuseError, SealAnswer, SealEvent, SealReport
from devices.eseal import Order as EsealOrder, RemoteUnlock
from devices.jt701 import Firmware, Order as Jt701Order, UnlockDynamic, UnlockStatic
from devices.jt701.orders import ask_of

SealOrder = Jt701Order | EsealOrder

NO_PASSWORD = "no password"  # noqa: S105  # it says that there is none

_HISTORY = (DataType.BACKLOG, DataType.RECENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """One way to open a seal."""

    order: SealOrder
    one_time: bool = False


def means_of(protocol: str | None, *, one_time: str | None, static: str | None) -> Means | str:
    """The way to open a seal on such a line; or why there is none, for people."""
    match protocol:
        case None:
            return "no line to this seal"
        case "eseal":
            return Means(order=RemoteUnlock())
        case "jt701" if one_time is not None:
            return _sayable(Means(order=UnlockDynamic(password=one_time), one_time=True))
        case "jt701" if static is not None:
            return _sayable(Means(order=UnlockStatic(password=static)))
        case "jt701":
            return NO_PASSWORD
        case _:
            return f"{protocol} cannot be told to open"


def wake_of(protocol: str | None) -> SealOrder | None:
    """What changes nothing and makes a seal speak: no protocol has an order for its state, which comes with its reports."""
    return Firmware() if protocol == "jt701" else None


def answer_of(fact: SealAnswer) -> bool | None:
    """What the seal answered to an unlock; None if this speaks of something else, or nobody answered."""
    is_unlock = fact.command in {"P43", "RC-Unlock"} or (
        fact.command == "P52" and fact.values[:1] == ("3",)
    )
    return fact.ok if is_unlock else None


def opened_by_us(fact: SealEvent) -> bool:
    """Whether a way of ours has opened it, by the seal's own event. A refusal may be another's: the answer tells of ours."""
    return fact.opened is True and fact.source in _OURS


def closed_of(fact: SealReport | SealEvent) -> bool | None:
    """Whether the seal is shut now, as far as it says; None for what was."""
    if isinstance(fact, SealEvent):
        return fact.locked
    if fact.data_type in _HISTORY:
        return None
    return fact.door_closed if fact.locked is None else fact.locked


_OURS = frozenset(("static_password", "dynamic_password", "remote_unlock"))


def _sayable(means: Means) -> Means | str:
    try:
        ask_of(means.order)  # type: ignore[arg-type]  # a JT701's, by its only caller
    except MisuseError:
        return "the password cannot be said to this seal"
    return means
