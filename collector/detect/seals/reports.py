"""What stands in a report of a seal and in an access to it (WIRE section 6)."""

from collector.detect.seals import SEAL_ID_CHARS_MAX, Access, Report
from wire.columns import Event

BACKLOG = 2  # its data_type


def read_report(event: Event) -> Report | None:
    """Kind 5, or None if it breaks WIRE section 6."""
    data = event.data
    if len(data) < 10 or not isinstance(data[0], str) or len(data[0]) > SEAL_ID_CHARS_MAX:
        return None
    numbers = [data[index] for index in (2, 3, 4, 5, 6, 8)]
    if any(number is not None and not isinstance(number, int) for number in numbers):
        return None
    known, true, data_type, seal_ms, battery, cause = (
        number if isinstance(number, int) else None for number in numbers
    )
    backlog = data_type == BACKLOG and seal_ms is not None
    return Report(
        seal=data[0],
        at_ms=seal_ms if backlog and seal_ms is not None else event.t_ms,
        known=known or 0,
        true=(true or 0) & (known or 0),
        battery_percent=battery,
        cause=cause,
    )


def read_access(event: Event) -> Access | None:
    """Kind 6, or None if it breaks WIRE section 6."""
    data = event.data
    if len(data) < 10 or not isinstance(data[0], str) or len(data[0]) > SEAL_ID_CHARS_MAX:
        return None
    source, authorised, opened, card, wrong = data[2:7]
    if not (source is None or isinstance(source, str)) or not (
        card is None or isinstance(card, str)
    ):
        return None
    flags = (authorised, opened, wrong)
    if any(flag is not None and not isinstance(flag, int) for flag in flags):
        return None
    return Access(
        seal=data[0],
        at_ms=event.t_ms,
        source=source,
        authorised=None if authorised is None else bool(authorised),
        opened=None if opened is None else bool(opened),
        card=card,
        wrong_passwords=wrong if isinstance(wrong, int) else None,
    )
