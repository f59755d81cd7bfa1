"""What the unit says of itself: flat numbers for the status page, the demo and `plomba-agent status` (EDGE section 9).

Law: reads only; None where nothing is known.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping

from agent import Moment
from agent.app.facts import FactWay
from agent.app.line import Line
from agent.io import disk
from agent.io.inbox import Inbox
from agent.io.serial_port import SerialPort
from agent.outbox import Outbox

VERSION = 1
NONCE_HEX_DIGITS = 32
HELLO_EVERY_MS = 1_000  # one new signature a second, else the last


class View:
    """Looks at all rooms, owns none."""

    def __init__(
        self,
        *,
        unit_id: str,
        program: str,
        began_mono_ms: int,
        outbox: Outbox,
        way: FactWay,
        line: Line,
        inbox: Inbox,
        ports: Mapping[str, SerialPort],
    ) -> None:
        self.lag_ms_max = 0
        self._unit_id = unit_id
        self._program = program
        self._began_mono_ms = began_mono_ms
        self._outbox = outbox
        self._way = way
        self._line = line
        self._inbox = inbox
        self._ports = ports
        self._hello: tuple[int, str] = (-HELLO_EVERY_MS, "")

    async def answer(self, path: str, query: dict[str, str]) -> dict[str, object] | None:
        """GET `path`; None: no such page."""
        if path != "/status.json":
            return None
        return await self.numbers(query.get("nonce", ""))

    async def numbers(self, nonce_hex: str = "") -> dict[str, object]:
        """Everything, as it stands now."""
        moment = self._way.moment()
        return {
            "v": VERSION,
            "unit": self._unit_id,
            "program": self._program,
            "up_s": (moment.mono_ms - self._began_mono_ms) // 1000,
            "time_ms": moment.utc_ms,
            "time_quality": moment.quality.name.lower(),
            "rss_kib": disk.rss_kib(),
            "cpu_ms": disk.cpu_ms(),
            "written_bytes": disk.written_bytes(),
            "lag_ms_max": self.lag_ms_max,
            **await self._store(moment),
            **self._uplink(moment),
            **self._facts(),
            "links": [self._link(port) for port in self._ports.values()],
            "hello": self._signed_hello(nonce_hex, moment),
            "r1": _text(self._outbox.memory("r1")),
            "r2": _text(self._outbox.memory("r2")),
        }

    async def _store(self, moment: Moment) -> dict[str, object]:
        stats = self._outbox.stats()
        oldest = await self._outbox.waiting(-1, 1)
        age_ms = moment.mono_ms - oldest[0].sealed_mono_ms if oldest else None
        current = next((chain for chain in stats.chains if chain.current), None)
        return {
            "store": "full" if stats.pressure >= 4 else "ok",
            "pressure": stats.pressure,
            "chain": None if current is None else current.chain_id.hex(),
            "batch_no": None if current is None else current.batch_no,
            "chains": len(stats.chains),
            "at_home": self._line.uplink.home is not None,
            "batches_waiting": stats.waiting,
            "oldest_waiting_s": None if age_ms is None else max(age_ms, 0) // 1000,
            "urgent_waiting": stats.urgent,
            "store_bytes": stats.bytes_used,
            "store_bytes_max": stats.bytes_max,
            "spare_bytes": stats.spare_bytes,
            "commits": stats.commits,
            "evicted_ever": stats.evicted_ever,
            "starts_ever": stats.starts_ever,
            "aside_files": stats.aside_files,
        }

    def _uplink(self, moment: Moment) -> dict[str, object]:
        uplink, heard_ms = self._line.uplink, self._line.receipt_mono_ms
        return {
            "uplink": uplink.state.value,
            "rung": uplink.rung,
            "refused": uplink.refused_lamp,
            "broker_trouble": self._line.last_close or None,
            "distrusted": self._line.distrusted or None,
            "in_flight": uplink.in_flight,
            "stuck": len(uplink.stuck),
            "receipts": uplink.counters["receipts"],
            "receipt_age_s": None if heard_ms is None else (moment.mono_ms - heard_ms) // 1000,
            "covered": self._line.counters["covered"],
            "sent": uplink.counters["sent_batch"],
            "sent_early": uplink.counters["sent_early"],
            "dials": uplink.counters["dials"],
            "stalls": uplink.counters["stalls"],
            "bytes_up": self._line.counters["bytes_up"],
            "bytes_down": self._line.counters["bytes_down"],
        }

    def _facts(self) -> dict[str, object]:
        counters = self._way.counters
        fix = self._way.newest_fix
        return {
            "facts": counters["facts"],
            "facts_waiting": len(self._inbox),
            "port_waits": self._inbox.waits,
            "records": counters["records"],
            "records_stored": counters["records_stored"],
            "records_without_room": counters["records_without_room"],
            "sealed": counters["batches"],
            "acks": counters["acks"],
            "commit_errors": counters["commit_errors"],
            "lat_e7": None if fix is None else fix[0].lat_e7,
            "lon_e7": None if fix is None else fix[0].lon_e7,
            "fix_age_s": None if fix is None else (self._way.moment().mono_ms - fix[1]) // 1000,
        }

    @staticmethod
    def _link(port: SerialPort) -> dict[str, object]:
        view = port.view()
        return {
            "name": view.name,
            "device": view.device,
            "role": view.role,
            "state": view.state,
            "detail": view.detail,
            "baud": view.baud,
            "counters": {name: count for name, count in view.counters.items() if count},
        }

    def _signed_hello(self, nonce_hex: str, moment: Moment) -> str | None:
        """A fresh admission for whoever stands beside the truck."""
        if moment.mono_ms - self._hello[0] < HELLO_EVERY_MS:
            return self._hello[1] or None
        try:
            nonce = bytes.fromhex(nonce_hex) if len(nonce_hex) == NONCE_HEX_DIGITS else b""
        except ValueError:
            nonce = b""
        shown = [chain for chain in self._outbox.chains() if not chain.at_home]
        words = self._line.hello(shown[-1].chain_id, nonce) if shown else None
        self._hello = (moment.mono_ms, "" if words is None else _text(words) or "")
        return self._hello[1] or None


def _text(data: bytes | None) -> str | None:
    return None if data is None else urlsafe_b64encode(data).rstrip(b"=").decode()
