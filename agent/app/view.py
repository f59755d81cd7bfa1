"""What the unit says of itself: flat numbers for page, updater, demo and `plomba-agent status` (EDGE section 9).

Law: reads only; None where nothing is known.
"""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping

from agent import Moment
from agent.app.facts import FactWay
from agent.app.line import Line
from agent.app.page_verdict import Known, SealSeen, verdict
from agent.io import clock, disk
from agent.io.disk import Space
from agent.io.inbox import Inbox
from agent.io.source import Source
from agent.outbox import Outbox, OutboxError
from agent.recorder.core import Recorder
from agent.recorder.facts import PowerSource

VERSION = 1
STORE_S_MAX = 1.0  # a store that hangs shall not hang the page
LOOK_EVERY_MS = (
    1_000  # a look at the oldest batches checks 64 signatures: a crowd shall not ask for more
)
JAMMED, SPOOFED = 3, 2  # GnssStatus: critical; indicated
DEAD_LINKS = frozenset(("absent", "busy", "hunting", "noise", "mute"))

Alarm = tuple[str, str, int]  # code of its sentence, of what, how many


class View:
    """Looks at all rooms, owns none."""

    def __init__(
        self,
        *,
        unit_id: str,
        program: str,
        began_mono_ms: int,
        outbox: Outbox,
        recorder: Recorder,
        way: FactWay,
        line: Line,
        inbox: Inbox,
        ports: Mapping[str, Source],
        seal_ids: frozenset[str],
        space: Callable[[], Space | None],
        acting: Callable[[], bool],
        versions: Callable[[], tuple[int, int]],
    ) -> None:
        """`seal_ids`: the seals that the config expects; they are on the page before they are heard. `versions`: of the settings, confirmed and on probation."""
        self.lag_ms_max = 0
        self.keeper = ""  # why the watchdog is not fed; empty: it is
        self.unit_id = unit_id
        self.program = program
        self._began_mono_ms = began_mono_ms
        self._outbox = outbox
        self._recorder = recorder
        self._way = way
        self._line = line
        self._inbox = inbox
        self._ports = ports
        self._seal_ids = seal_ids
        self._space = space
        self._known: tuple[int, Known] | None = None
        self._acting = acting
        self._versions = versions

    def kept(self, why: str) -> None:
        """The keeper tells why it does not feed the watchdog; empty: it does."""
        self.keeper = why

    def moment(self) -> Moment:
        return self._way.moment()

    async def numbers(self) -> dict[str, object]:
        """Everything, as it stands now."""
        moment = self._way.moment()
        known = await self.known(moment)
        judged = verdict(known)
        return {
            "v": VERSION,
            "unit": self.unit_id,
            "program": self.program,
            "verdict": judged.colour.value,
            "reasons": [
                {"code": one.code, "seal": one.seal or None, "n": one.number}
                for one in judged.reasons
            ],
            "green_s": judged.green_s,
            "up_s": (moment.mono_ms - self._began_mono_ms) // 1000,
            "time_ms": moment.utc_ms,
            "time_quality": moment.quality.name.lower(),
            "clock_offset_ms": moment.utc_ms - clock.system_ms() if moment.quality else None,
            "rss_kib": disk.rss_kib(),
            "cpu_ms": disk.cpu_ms(),
            "written_bytes": disk.written_bytes(),
            "lag_ms_max": self.lag_ms_max,
            "keeper": self.keeper or "ok",
            "config_version": self._versions()[0],
            "config_trial": self._versions()[1] or None,
            **self._store(known),
            **self._uplink(moment),
            **self._facts(moment),
            "seals": [_seal(seal) for seal in known.seals],
            "links": [self._link(port) for port in self._ports.values()],
            "alarms": [
                {"code": code, "of": what or None, "n": number}
                for code, what, number in self.alarms(known)
            ],
            "r1": text(self._line.newest_receipt),
            "r2": text(self._outbox.memory("r2")),
        }

    async def known(self, moment: Moment) -> Known:
        """What the verdict rests on; as it was looked at last if that was in this second, however many ask."""
        if self._known is None or moment.mono_ms - self._known[0] >= LOOK_EVERY_MS:
            self._known = (moment.mono_ms, await self._look(moment))
        return self._known[1]

    async def _look(self, moment: Moment) -> Known:
        store, oldest_s = await self._oldest(moment)
        sky = self._way.seen.sky
        interfered = sky is not None and (
            (sky.jam_state or 0) >= JAMMED or (sky.spoof_state or 0) >= SPOOFED
        )
        return Known(
            seals=self.seals(moment),
            fix_age_s=self.fix_age_s(moment),
            time_quality=int(moment.quality),
            waiting=self._outbox.stats().waiting,
            oldest_waiting_s=oldest_s,
            at_home=self._line.uplink.home is not None,
            store=store,
            distrusted=self._line.distrusted,
            interference=interfered,
            stuck=len(self._line.uplink.stuck),
        )

    async def _oldest(self, moment: Moment) -> tuple[str, int | None]:
        """How the store stands, and the age of the oldest batch without receipt."""
        try:
            async with asyncio.timeout(STORE_S_MAX):
                oldest = await self._outbox.waiting(-1, 1)
        except (TimeoutError, OutboxError):
            return "silent", None
        state = "full" if self._outbox.pressure >= 4 else "ok"
        state = "spill" if self._outbox.spilled else state
        age_ms = moment.mono_ms - oldest[0].sealed_mono_ms if oldest else None
        return state, None if age_ms is None else max(age_ms, 0) // 1000

    def fix_age_s(self, moment: Moment) -> int | None:
        fix = self._way.newest_fix
        return None if fix is None else max(moment.mono_ms - fix[1], 0) // 1000

    def place(self) -> tuple[int, int] | None:
        fix = self._way.newest_fix
        return None if fix is None else (fix[0].lat_e7, fix[0].lon_e7)

    def receipt_age_s(self, moment: Moment) -> int | None:
        heard_ms = self._line.receipt_mono_ms
        return None if heard_ms is None else max(moment.mono_ms - heard_ms, 0) // 1000

    def seals(self, moment: Moment) -> tuple[SealSeen, ...]:
        """Those that were heard, and those that should have been."""
        heard = self._way.seen.seals_heard
        found = {}
        for seal in self._recorder.seals:
            heard_ms = heard.get(seal.seal_id)
            found[seal.seal_id] = SealSeen(
                seal_id=seal.seal_id,
                known=int(seal.known),
                true=int(seal.true),
                battery_percent=seal.battery_percent,
                silent=seal.silent,
                age_s=None if heard_ms is None else max(moment.mono_ms - heard_ms, 0) // 1000,
            )
        for seal_id in self._seal_ids - found.keys():
            found[seal_id] = SealSeen(
                seal_id=seal_id, known=0, true=0, battery_percent=None, silent=False, age_s=None
            )
        return tuple(found[seal_id] for seal_id in sorted(found))

    def alarms(self, known: Known) -> list[Alarm]:
        """What is wrong now, beside what the verdict says."""
        found: list[Alarm] = [
            (name, seal.seal_id, 0) for seal in known.seals for name in seal.alarms()
        ]
        dead = self.dead_links()
        found += [("link_bad", name, 0) for name in dead]
        said = {
            "interference": int(known.interference),
            "head_mismatch": int(bool(known.distrusted)),
            "refused": int(self._line.uplink.refused_lamp),
            "stuck": known.stuck,
            "store_full": int(known.store == "full"),
            "store_silent": int(known.store == "silent"),
            "aside": self._outbox.stats().aside_files,
        }
        found += [(code, "", number) for code, number in said.items() if number]
        return found

    def dead_links(self) -> dict[str, str]:
        """Links in trouble and how, by name."""
        states = {name: port.view().state for name, port in self._ports.items()}
        return {name: state for name, state in states.items() if state in DEAD_LINKS}

    @property
    def link(self) -> str:
        """The line in the page's words."""
        state = self._line.uplink.state.value
        return state if state in {"flowing", "stalled", "down"} else "connecting"

    def _store(self, known: Known) -> dict[str, object]:
        stats = self._outbox.stats()
        current = next((chain for chain in stats.chains if chain.current), None)
        space = self._space()
        return {
            "store": known.store,
            "pressure": self._way.storing.pressure,
            "chain": None if current is None else current.chain_id.hex(),
            "batch_no": None if current is None else current.batch_no,
            "chains": len(stats.chains),
            "at_home": known.at_home,
            "batches_waiting": stats.waiting,
            "oldest_waiting_s": known.oldest_waiting_s,
            "urgent_waiting": stats.urgent,
            "store_bytes": stats.bytes_used,
            "store_bytes_max": stats.bytes_max,
            "spare_bytes": stats.spare_bytes,
            "commits": stats.commits,
            "commit_ms_max": self._way.storing.commit_ms_max,
            "evicted_ever": stats.evicted_ever,
            "starts_ever": stats.starts_ever,
            "boot_cause": self._outbox.boot_cause.name.lower(),
            "commit_errors_ever": self._way.storing.commit_errors_ever,
            "aside_files": stats.aside_files,
            "free_bytes": None if space is None else space.free_bytes,
            "free_inodes": None if space is None else space.free_inodes,
        }

    def _uplink(self, moment: Moment) -> dict[str, object]:
        uplink = self._line.uplink
        return {
            "uplink": uplink.state.value,
            "rung": uplink.rung,
            "refused": uplink.refused_lamp,
            "broker_trouble": self._line.last_close or None,
            "distrusted": self._line.distrusted or None,
            "in_flight": uplink.in_flight,
            "stuck": len(uplink.stuck),
            "receipts": uplink.counters["receipts"],
            "receipt_age_s": self.receipt_age_s(moment),
            "covered": self._line.counters["covered"],
            "sent": uplink.counters["sent_batch"],
            "sent_early": uplink.counters["sent_early"],
            "dials": uplink.counters["dials"],
            "refusals": uplink.counters["refusals"],
            "stalls": uplink.counters["stalls"],
            "bytes_up": self._line.counters["bytes_up"],
            "bytes_down": self._line.counters["bytes_down"],
        }

    def _facts(self, moment: Moment) -> dict[str, object]:
        counters, seen = self._way.counters, self._way.seen
        place = self.place()
        return {
            "facts": counters["facts"],
            "facts_waiting": len(self._inbox),
            "port_waits": self._inbox.waits,
            "records": counters["records"],
            "records_stored": counters["records_stored"],
            "records_waiting": self._way.storing.waiting.records,
            "records_dropped": self._way.storing.waiting.dropped,
            "records_without_room": counters["records_without_room"],
            "sealed": counters["batches"],
            "acks": counters["acks"],
            "commit_errors": counters["commit_errors"],
            "lat_e7": None if place is None else place[0],
            "lon_e7": None if place is None else place[1],
            "fix_age_s": self.fix_age_s(moment),
            "moving": self._recorder.moving,
            "under_seal": self._recorder.sealed,
            "external_power": None
            if seen.power is None
            else seen.power.source is PowerSource.EXTERNAL,
            "order_acting": self._acting(),
            "urgent_age_s": self._urgent_age_s(moment),
        }

    def _urgent_age_s(self, moment: Moment) -> int | None:
        """Since the newest urgent event that this start knows of, or that still waits from before."""
        times = [one.sealed_mono_ms for one in self._outbox.urgent()[-1:]]
        if self._way.seen.urgent_mono_ms is not None:
            times.append(self._way.seen.urgent_mono_ms)
        return max(moment.mono_ms - max(times), 0) // 1000 if times else None

    @staticmethod
    def _link(port: Source) -> dict[str, object]:
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


def text(data: bytes | None) -> str | None:
    """Bytes as JSON takes them: base64url without padding."""
    return None if data is None else urlsafe_b64encode(data).rstrip(b"=").decode()


def _seal(seal: SealSeen) -> dict[str, object]:
    return {
        "id": seal.seal_id,
        "locked": seal.locked,
        "known": seal.known,
        "true": seal.true,
        "battery_percent": seal.battery_percent,
        "silent": seal.silent,
        "age_s": seal.age_s,
        "alarms": list(seal.alarms()),
    }
