"""One event of the unit."""

from dataclasses import replace

from collector.detect.seals import Context, Life, Report, State, Stepped
from collector.detect.seals.access import accessed, bits_refused
from collector.detect.seals.contact import declared, heard, link_down, lost
from collector.detect.seals.health import battery, body_input, cover, motor
from collector.detect.seals.opening import lived
from collector.detect.seals.reports import read_access, read_report
from collector.detect.seals.work import kept, seal_of, work_on
from wire.columns import Event
from wire.records import EventKind

HEARTBEAT = 2  # causes of a seal event
SILENT = 3


def step_event(context: Context, state: State, event: Event) -> Stepped | None:
    """One event of the unit; None if it is of no kind that seals are told by."""
    match event.kind:
        case EventKind.SEAL:
            report = read_report(event)
            if report is None:
                return Stepped(state=state, odd=True)
            return _report(context, state, event, report)
        case EventKind.ACCESS:
            access = read_access(event)
            if access is None:
                return Stepped(state=state, odd=True)
            return accessed(context, state, event, access)
        case EventKind.LINK:
            return link_down(context, state, event)
        case EventKind.INPUT:
            return body_input(context, state, event)
        case _:
            return None


def _report(context: Context, state: State, event: Event, report: Report) -> Stepped:
    work = work_on(context, event, report.at_ms, state)
    seal = seal_of(state, report.seal)
    if report.cause == SILENT:
        return kept(work, state, lost(work, seal, report.at_ms))
    if context.assume_sealed and seal.life is Life.UNKNOWN and report.cause != HEARTBEAT:
        seal = replace(seal, life=Life.SEALED)
    seal = heard(work, seal, report.at_ms)
    seal = declared(work, seal, report)
    seal = lived(work, seal, report)
    seal = cover(work, seal, report)
    seal = bits_refused(work, seal, report)
    seal = battery(work, seal, report)
    seal = motor(work, seal, report)
    return kept(work, state, seal)
