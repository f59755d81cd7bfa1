"""Carries out what `versions` decides: files, the outbox's memory, `config` events, the restart inside the process (EDGE section 10).

Law: one version at a time; the newest that was asked for. The record of what became of it and the state are one transaction.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent import Moment
from agent.app import versions
from agent.app.log import say, warn
from agent.app.versions import Ignore, Instant, Refuse, Result, Take, Try, Versions, Wait
from agent.app.versions_disk import Life, VersionFiles, first_life, off_the_loop, sha_of
from agent.config import BadConfigError, Config, says_the_same, with_version
from agent.outbox import Outbox, OutboxError
from agent.recorder.facts import ConfigDone

LOOK_S = 0.5
AGAIN_MS = 60_000  # the disk refused: it is tried again with the store's own pace

Tell = Callable[[ConfigDone, Mapping[str, bytes | None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A version that the centre wants."""

    version: int
    text: bytes


class Keeper:
    """The versions of one life."""

    def __init__(
        self,
        *,
        life: Life,
        outbox: Outbox,
        moment: Callable[[], Moment],
        receipt_mono_ms: Callable[[], int | None],
        free_bytes: Callable[[], int | None],
        tell: Tell,
        restart: Callable[[Life], None],
        probation_ms: int = versions.PROBATION_MS,
    ) -> None:
        """`receipt_mono_ms`: when the newest receipt of this life came; `tell`: a record, and what the store keeps with it."""
        self.counters: Counter[str] = Counter()
        self._life = life
        self._outbox = outbox
        self._moment = moment
        self._receipt_mono_ms = receipt_mono_ms
        self._free_bytes = free_bytes
        self._tell = tell
        self._restart = restart
        self._began_mono_ms = moment().mono_ms
        self._probation_ms = probation_ms
        self._files = VersionFiles(life.config.config_dir)
        self._state = versions.decode_cell(outbox.memory(versions.CELL))
        self._asked: Asked | None = None
        self._again_mono_ms = 0  # when `_asked` is looked at again
        self._leaving = False
        self.turned_mono_ms = self._began_mono_ms  # when this task moved last

    @property
    def running(self) -> int:
        """The version that a receipt has confirmed; 0: the local file alone."""
        return self._state.running

    @property
    def trial(self) -> int:
        """The version on probation; 0: none."""
        return self._state.trial

    def ask(self, version: int, text: bytes) -> None:
        """The centre wants this version. The retained topic says it at every connect."""
        if self._asked is None or version >= self._asked.version:
            self._asked = Asked(version=version, text=text)
            self._again_mono_ms = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until another life has been asked for."""
        await self.begin()
        while not stop.is_set() and not self._leaving:
            self.turned_mono_ms = self._moment().mono_ms
            await self.wake()
            await asyncio.sleep(LOOK_S)

    async def begin(self) -> None:
        """What the process before has left: a probation that it did not live through, a version that cannot be used any more."""
        state, life = self._state, self._life
        if life.trial:
            if state.trial != life.trial:  # the store was lost meanwhile: its memory is ours
                begun = versions.begin(state, life.trial, sha_of(life.version_text.encode()))
                try:
                    await self._remember(begun)
                except OutboxError as error:  # then the centre says the version again
                    warn("config_not_tried", version=life.trial, error=str(error))
                    self._leave(first_life(life.local_text))
                    return
            say("config_on_probation", version=life.trial)
            return
        if state.trial and state.trial_sha == sha_of(self._files.current()):
            self._settle(
                versions.confirm(state), state.trial, Result.TAKEN
            )  # killed between rename and record
        elif state.trial:
            self._files.drop_next()
            self._settle(versions.give_back(state, self._now()), state.trial, Result.ROLLED_BACK)
        elif life.fault and state.running:
            warn("config_version_unusable", version=state.running, error=life.fault)
            self._settle(versions.lose(state, self._now()), state.running, Result.ROLLED_BACK)

    async def wake(self) -> None:
        """Look at the probation, then at what was asked for."""
        if self._life.trial and self._state.trial == self._life.trial:
            await self._look_at_trial()
        asked = self._asked
        if asked is not None and not self._leaving and self._now().mono_ms >= self._again_mono_ms:
            await self._decide(asked)

    async def _look_at_trial(self) -> None:
        state = self._state
        received_ms = self._receipt_mono_ms()
        if received_ms is not None and received_ms >= self._began_mono_ms:
            try:
                await off_the_loop(self._files.promote)
            except OSError as error:
                # Nothing is lost: a start without the renamed file gives the version back, and the centre says it again.
                warn("config_not_promoted", version=state.trial, error=str(error))
                self._leave(first_life(self._life.local_text))
                return
            self._settle(versions.confirm(state), state.trial, Result.TAKEN)
        elif self._moment().mono_ms - self._began_mono_ms >= self._probation_ms:
            self._leave(first_life(self._life.local_text))

    async def _decide(self, asked: Asked) -> None:
        state = self._state
        config, fault, same = self._weigh(asked.text)
        verdict = versions.judge(state, asked.version, fault=fault, same=same, now=self._now())
        match verdict:
            case Ignore(why=why):
                self.counters[f"ignored: {why}"] += 1
                self._asked = None
            case Wait(until_mono_ms=until_mono_ms):
                self._again_mono_ms = until_mono_ms
            case Refuse(why=why):
                warn("config_refused", version=asked.version, why=why)
                self._asked = None
                refused = versions.refuse(state, asked.version)
                self._settle(refused, asked.version, Result.REFUSED)
            case Take():
                self._asked = None
                self._settle(versions.take(state, asked.version), asked.version, Result.TAKEN)
            case Try():
                assert config is not None
                await self._try(asked, config)

    def _weigh(self, text_bytes: bytes) -> tuple[Config | None, str, bool]:
        """The settings that `text_bytes` make, or what is wrong with them; and whether they hold already."""
        try:
            text = text_bytes.decode()
            config = with_version(self._life.local_text, text)
            same = says_the_same(self._life.local_text, text, self._life.version_text)
        except UnicodeDecodeError as error:
            return None, f"not UTF-8, {error}", False
        except BadConfigError as error:
            return None, str(error), False
        return config, self._threat(config), same

    def _threat(self, config: Config) -> str:
        """No version may make the store forget: a smaller one is taken only while it would not feel it."""
        new, old = config.outbox, self._life.config.outbox
        if new.bytes_max < old.bytes_max and 2 * self._outbox.stats().bytes_used > new.bytes_max:
            return f"outbox.bytes_max: the store holds {self._outbox.stats().bytes_used} bytes, twice that at least"
        free_bytes = self._free_bytes()
        if new.headroom_bytes > old.headroom_bytes and (free_bytes or 0) < new.headroom_bytes:
            return f"outbox.headroom_bytes: {free_bytes} bytes are free"
        return ""

    async def _try(self, asked: Asked, config: Config) -> None:
        state = self._state
        try:
            await off_the_loop(lambda: self._files.write_next(asked.text))
            begun = versions.begin(state, asked.version, sha_of(asked.text))
            await self._remember(begun)
        except (OSError, OutboxError) as error:
            warn("config_not_tried", version=asked.version, error=str(error))
            self._again_mono_ms = self._now().mono_ms + AGAIN_MS
            return
        if state.trial:  # a successor has come while it was on probation
            self._tell(ConfigDone(version=state.trial, result=Result.ROLLED_BACK), {})
        self._asked = None
        self._leave(
            Life(
                local_text=self._life.local_text,
                version_text=asked.text.decode(),
                config=config,
                trial=asked.version,
            )
        )

    def _leave(self, life: Life) -> None:
        self._leaving = True
        say("config_restart", trial=life.trial)
        self._restart(life)

    def _settle(self, state: Versions, version: int, result: Result) -> None:
        self._state = state
        self.counters[result.name.lower()] += 1
        say(f"config_{result.name.lower()}", version=version)
        self._tell(
            ConfigDone(version=version, result=result),
            {versions.CELL: versions.encode_cell(state)},
        )

    async def _remember(self, state: Versions) -> None:
        cell = versions.encode_cell(state)
        await self._outbox.remember({versions.CELL: cell}, self._moment())
        self._state = state

    def _now(self) -> Instant:
        return Instant(boot_no=self._outbox.boot_no, mono_ms=self._moment().mono_ms)
