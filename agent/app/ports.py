"""The unit's ports: which reader sits at which link, and at what speed it was found last (EDGE section 8).

Law: a port is made from its link alone. A rate that is forgotten costs a hunt, nothing more.
"""

import secrets
from random import Random

from agent import Moment, Quality
from agent.app.log import Troubles
from agent.config import Config, Link
from agent.io.clock import Clock
from agent.io.inbox import Inbox
from agent.io.serial_port import LineReader, SerialPort
from agent.io.source import Source
from agent.outbox import Outbox, OutboxError
from agent.timekeeper import Timekeeper
from wire.canon import decode, encode

RATES = "rates"  # its name in the outbox's memory
STOP_S_MAX = 0.3  # they are daemons: a driver that hangs is left behind


class Ports:
    """All ports by name, and the rates that are worth remembering."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        inbox: Inbox,
        timekeeper: Timekeeper,
        outbox: Outbox,
        troubles: Troubles,
    ) -> None:
        self._troubles = troubles
        self._config = config
        self._clock = clock
        self._inbox = inbox
        self._timekeeper = timekeeper
        self._outbox = outbox
        saved = _saved(outbox.memory(RATES))
        self.by_name: dict[str, Source] = {
            link.port.name: self._port(link, saved.get(link.port.name)) for link in config.links
        }
        self._rates = self._found()

    def start(self, heard: tuple[bytes, ...]) -> None:
        """`heard`: frames that the outbox holds; a seal that says them again is not stored twice."""
        for port in self.by_name.values():
            port.remember(heard)
            port.start()

    def stop(self) -> None:
        for port in self.by_name.values():
            port.stop()

    def join(self) -> None:
        for port in self.by_name.values():
            port.join(STOP_S_MAX)

    async def remember_rates(self, moment: Moment) -> None:
        """Rates that a hunt has found since."""
        rates = self._found()
        if rates == self._rates:
            return
        found = tuple((name, baud) for name, baud in rates.items() if baud is not None)
        try:
            await self._outbox.remember({RATES: encode(found)}, moment)
        except OutboxError as error:
            self._troubles.begin(
                "rates_not_remembered", error=str(error)
            )  # asked again, and else the hunt finds them
            return
        self._rates = rates
        self._troubles.end("rates_not_remembered")

    def _found(self) -> dict[str, int | None]:
        return {port.settings.name: port.found_baud for port in self.by_name.values()}

    def _port(self, link: Link, saved_baud: int | None) -> Source:
        if link.address is not None:
            return self._foreign(link, link.address)
        return SerialPort(
            link.port,
            reader=self._reader(link),
            clock=self._clock,
            inbox=self._inbox,
            saved_baud=saved_baud,
            after_feed=self._tell_time if link.port.protocol == "jt701" else None,
        )

    def _foreign(self, link: Link, address: tuple[str, int]) -> Source:
        """A program behind an address; its room is loaded by units that have one."""
        from agent.io.gpsd import gpsd_source  # noqa: PLC0415  # see above
        from agent.io.llrp import LlrpSettings, child_command, llrp_source  # noqa: PLC0415  # as above

        rng = Random(secrets.randbits(64))  # noqa: S311  # it spreads dials, it guards nothing
        if link.port.protocol == "gpsd":
            return gpsd_source(link.port, address, clock=self._clock, inbox=self._inbox, rng=rng)
        host, port = address
        reader = LlrpSettings(
            host=host, port=port, antennas=link.antennas, power_cdbm=link.power_cdbm
        )
        return llrp_source(
            link.port, child_command(reader), clock=self._clock, inbox=self._inbox, rng=rng
        )

    def _reader(self, link: Link) -> LineReader:
        """The room of a device is loaded by units that have one."""
        match link.port.protocol:
            case "jt701":
                from devices.jt701 import Jt701Reader  # noqa: PLC0415  # see above

                return Jt701Reader(seal_id=link.seal_id)
            case "eseal":
                from devices.eseal import EsealReader  # noqa: PLC0415  # as above

                return EsealReader(seal_id=link.seal_id)
            case "jt808":
                from devices.jt808 import Jt808Reader  # noqa: PLC0415  # as above

                return Jt808Reader(seal_id=link.seal_id, utc_offset_min=link.utc_offset_min)
            case "m100":
                from devices.m100 import M100Reader  # noqa: PLC0415  # as above

                return M100Reader(
                    name=link.port.name, region=link.region, power_cdbm=link.power_cdbm
                )
            case _:
                from devices.nmea import NmeaReader  # noqa: PLC0415  # as above

                return NmeaReader(self._config.not_before)

    def _tell_time(self, reader: LineReader, mono_ms: int) -> None:
        """In the port's thread: a lock that asks for the time gets it, if we know it well."""
        from devices.jt701 import Jt701Reader, SetTime  # noqa: PLC0415  # the port's reader is from there

        if not isinstance(reader, Jt701Reader) or not reader.wants_time:
            return
        utc_ms, quality = self._timekeeper.utc(mono_ms)
        if quality >= Quality.NTP:
            reader.order(SetTime(time_ms=utc_ms), self._clock.now_of(mono_ms))


def _saved(cell: bytes | None) -> dict[str, int]:
    rates = None if cell is None else decode(cell)
    saved: dict[str, int] = {}
    for rate in rates if isinstance(rates, list) else []:
        match rate:
            case [str(name), int(baud)]:
                saved.setdefault(name, baud)
            case _:
                pass
    return saved
