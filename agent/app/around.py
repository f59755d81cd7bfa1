"""The unit as an order meets it, and the seals that an order may speak of (EDGE section 6).

Law: it looks and answers. Who judges is the steward.
"""

from collections.abc import Callable
from dataclasses import replace

from agent import Moment
from agent.app.contacts import Contacts
from agent.app.identity import Enrolled
from agent.app.log import warn
from agent.app.orders import Orders, SealLine, Surroundings
from agent.app.ports import Ports
from agent.config import Config
from agent.io.serial_port import SerialPort
from agent.orders.book import DOOR, read_book
from agent.orders.steward import Steward
from agent.outbox import Outbox
from agent.recorder.core import Recorder
from agent.recorder.settings import Role
from wire.orders import place_of

DOUBT_MS = 600_000  # EDGE section 6: so long a doubted fix, jamming or spoofing keeps seals shut
MOVING_CM_S_MIN = 150  # EDGE section 2; for a unit that does not know yet whether it moves


def orders_of(
    config: Config,
    enrolled: Enrolled,
    at: Callable[[str], None],
    *,
    mono_ms: int,
    outbox: Outbox,
    ports: Ports,
    recorder: Recorder,
    around: Callable[[], Surroundings],
    nudge: Callable[[], None],
) -> Orders:
    """The orders of this unit, with what the outbox remembers of them."""
    named = {link.seal_id for link in config.links if link.seal_id is not None}
    seals = config.seal_ids | named
    lines = _seal_lines(config, seals, ports)
    book = read_book(outbox.memory)
    if book.damaged:
        warn(
            "orders_forgotten",
            detail="their memory was damaged: orders given before now are refused",
        )
    return Orders(
        unit_id=config.unit_id,
        order_keys=enrolled.pins.order_keys,
        steward=Steward(book, mono_ms=mono_ms),
        lines=lines,
        contacts=Contacts(
            config.state_dir / "seals",
            wanted=config.first_contacts,
            secret_files=config.secret_files,
            tell=lambda seal_id, order: lines[seal_id].port.order(order),
        ),
        seals=seals,
        around=around,
        armed=recorder.armed,
        nudge=nudge,
        at=at,
    )


def look_around(
    recorder: Recorder, outbox: Outbox, moment: Moment, *, config_version: int
) -> Surroundings:
    """Where the unit is, whether it moves, and whether old orders may still be believed."""
    fix = recorder.newest_fix
    place, fast = None, False
    if fix is not None:
        record, heard_ms = fix
        age_ms = moment.mono_ms - heard_ms
        place = place_of(record.lat_e7, record.lon_e7, age_ms, record.flags, record.hdop_centi)
        if recorder.doubts_place(moment, DOUBT_MS):
            place = replace(place, doubted=True)
        fast = (record.speed_cm_s or 0) > MOVING_CM_S_MIN
    moving = recorder.moving
    founded_in_doubt = any(one.at_home for one in outbox.chains())
    return Surroundings(
        moment=moment,
        place=place,
        moving=fast if moving is None else moving,
        config_version=config_version,
        door_closed=founded_in_doubt or outbox.memory(DOOR) is not None,
    )


def _seal_lines(config: Config, seals: frozenset[str], ports: Ports) -> dict[str, SealLine]:
    """Where each seal is: the line that names it, or the only one that names none."""
    links = [link for link in config.links if link.port.role is Role.SEAL]
    nameless = [link for link in links if link.seal_id is None]
    lines = {}
    for seal_id in seals:
        named = [link for link in links if link.seal_id == seal_id]
        for link in named or (nameless if len(nameless) == 1 else []):
            port = ports.by_name[link.port.name]
            assert isinstance(port, SerialPort), "a seal is on a serial line"
            lines[seal_id] = SealLine(port=port, protocol=link.port.protocol)
    return lines
