"""What a seal says of itself: casing, battery, motor; and the body's own doors and lights."""

from dataclasses import replace

from collector.detect import Phase, Priority
from collector.detect.seals import Context, Life, Report, Seal, State, Stepped
from collector.detect.seals.work import Work, work_on
from wire.columns import Event
from wire.records import SealBit

DOORS = frozenset({"door"})
LIGHTS = frozenset({"light"})


def cover(work: Work, seal: Seal, report: Report) -> Seal:
    opened = report.says(SealBit.COVER_OPENED)
    closed = report.says(SealBit.COVER_CLOSED)
    if not opened and closed is not False:
        said = opened is False or closed is True
        return replace(seal, covered=False) if said else seal
    if seal.covered:
        return seal
    work.tell("SEAL_CASING_TAMPER", seal.seal, at_ms=report.at_ms, value="cover")
    return replace(seal, covered=True)


def battery(work: Work, seal: Seal, report: Report) -> Seal:
    percent, th = report.battery_percent, work.rules.thresholds
    if percent is None:
        return seal
    begun, at_ms = seal.battery_seq, report.at_ms
    if begun is None:
        if percent >= th.battery_low_percent:
            return seal
        very = percent < th.battery_very_low_percent
        work.tell(
            "BATTERY_LOW",
            seal.seal,
            at_ms=at_ms,
            phase=Phase.BEGIN,
            value=percent,
            priority=Priority.P2 if very else None,
        )
        return replace(seal, battery_seq=work.event.seq, battery_n=1, battery_low=very)
    if percent > th.battery_ok_percent:
        work.tell(
            "BATTERY_LOW",
            seal.seal,
            at_ms=at_ms,
            seq=begun,
            phase=Phase.END,
            n=seal.battery_n,
            value=percent,
        )
        return replace(seal, battery_seq=None, battery_n=0, battery_low=False)
    if percent < th.battery_very_low_percent and not seal.battery_low:
        work.tell(
            "BATTERY_LOW",
            seal.seal,
            at_ms=at_ms,
            seq=begun,
            phase=Phase.CHANGE,
            n=seal.battery_n,
            value=percent,
            priority=Priority.P2,
        )
        return replace(seal, battery_n=seal.battery_n + 1, battery_low=True)
    return seal


def motor(work: Work, seal: Seal, report: Report) -> Seal:
    stuck = report.says(SealBit.MOTOR_STUCK)
    if stuck and seal.stuck_seq is None:
        work.tell(
            "DEVICE_FAULT",
            seal.seal,
            at_ms=report.at_ms,
            phase=Phase.BEGIN,
            value="motor_stuck",
        )
        return replace(seal, stuck_seq=work.event.seq)
    if stuck is False and seal.stuck_seq is not None:
        work.tell(
            "DEVICE_FAULT",
            seal.seal,
            at_ms=report.at_ms,
            seq=seal.stuck_seq,
            phase=Phase.END,
            n=1,
            value="motor_stuck",
        )
        return replace(seal, stuck_seq=None)
    return seal


def body_input(context: Context, state: State, event: Event) -> Stepped:
    """Kind 8: a door or light sensor of the body."""
    if (
        len(event.data) < 2
        or not isinstance(event.data[0], str)
        or not isinstance(event.data[1], int)
    ):
        return Stepped(state=state, odd=True)
    name, level = event.data[0], event.data[1]
    work = work_on(context, event, event.t_ms, state)
    legally_open = any(seal.life is Life.OPEN_BY_ORDER for seal in state.seals)
    watched = work.journey is not None and work.journey.sealed and not legally_open
    if level == 1 and watched and name in DOORS:
        work.tell("DOOR_OPEN_UNAUTHORISED", "", at_ms=event.t_ms)
    if level == 1 and watched and name in LIGHTS:
        work.tell("SEAL_CASING_TAMPER", "", at_ms=event.t_ms, value="light")
    return Stepped(state=state, hits=tuple(work.hits))
