"""What must stand before the loops begin: the outbox open, and a clock that is not behind what it holds (EDGE sections 4 and 7).

Law: a unit that cannot start says why and what to do; any other trouble of the store has been met when this returns.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from agent import Boot, Moment
from agent.app.identity import Enrolled
from agent.config import Config
from agent.io import clock
from agent.io.clock import Clock
from agent.outbox import Cause, Outbox, OutboxError, OutboxLockedError
from agent.timekeeper import Timekeeper
from wire import Refused
from wire.batch import read_payload
from wire.envelope import Aad, open_envelope

VERSION = (
    "0.1.0"  # of pyproject.toml; asking importlib.metadata costs half a MiB, so a test compares
)
PROGRAM = f"plomba-agent {VERSION}"
UNFED = "unfed"  # in the run directory: why the watchdog was not fed when the process ended


class StartError(Exception):
    """The unit cannot start; the message says why and what to do."""


async def open_outbox(
    config: Config, enrolled: Enrolled, moment: Moment, at: Callable[[str], None]
) -> Outbox:
    """The outbox with its first batch committed. Raises StartError."""
    boot = Boot(
        boot_id=clock.boot_id() or secrets.token_bytes(16),
        program=PROGRAM,
        cause=Cause.WATCHDOG if _was_unfed(config.run_dir / UNFED) else Cause.UNKNOWN,
    )
    try:
        return await Outbox.open(
            config.outbox_dir,
            config.outbox,
            enrolled.identity,
            boot,
            moment,
            run=config.run_dir,
            at=at,
        )
    except OSError as error:
        where = error.filename or config.outbox_dir
        raise StartError(f"{where}: {error.strerror}; make it ours to write") from error
    except OutboxLockedError as error:  # it says itself what to do
        raise StartError(str(error)) from error
    except OutboxError as error:
        raise StartError(
            f"{config.outbox_dir}: {error}; look at the disk (plomba-agent check), and at unit.run_dir, where the unit would go round it"
        ) from error


def _was_unfed(mark: Path) -> bool:
    """Whether the watchdog ended the process before; a run directory that cannot be used is met by whoever needs it."""
    try:
        was = mark.exists()
        mark.unlink(missing_ok=True)
    except OSError:
        return False
    return was


async def newest_sealed_ms(outbox: Outbox, moment: Moment) -> int:
    """Of the newest batch before the one that this start has sealed; 0 if there is none."""
    for chain in reversed(outbox.chains()):
        number = chain.batch_no - 1 if chain.current else chain.batch_no
        pos = await outbox.find(chain.chain_id, number) if number >= 0 else None
        envelope = None if pos is None else await outbox.read(pos, moment)
        opened = None if envelope is None else open_envelope(envelope, Aad.BATCH)
        if opened is None or isinstance(opened, Refused):
            continue
        header = read_payload(opened.payload)
        return 0 if isinstance(header, Refused) else header.sealed_ms
    return 0


def timekeeper_of(config: Config, ticker: Clock, *, newest_sealed_ms: int) -> Timekeeper:
    """A timekeeper that has asked board and kernel; what it says before the first batch needs no record."""
    timekeeper = Timekeeper(
        config.timekeeper, mono_ms=ticker.mono_ms(), newest_sealed_ms=newest_sealed_ms
    )
    rtc = clock.ask_rtc()
    if rtc is not None:
        timekeeper.take(rtc, mono_ms=ticker.mono_ms())
    return timekeeper
