"""A scenario played without ptys and without time: what each device said, and when."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from firmware_sim import Event
from firmware_sim.scenario import Scenario, read_scenario
from firmware_sim.scenario_events import read_event
from firmware_sim.stage import Bytes, Happened, Out, Plug, Stage, Truth

START_MS = 1_803_877_200_000  # 2027-03-01T05:00:00Z
HERE = Path(__file__).parent
SAMPLES = Path(__file__).resolve().parents[2] / "configs" / "scenarios"
SEAL_ID = "8000620011"
RECEIVER = "receiver = { fix_after_s = 0, noise_m = 0.0 }"
SEAL = f'seal = {{ id = "{SEAL_ID}", password = "12#aAM", cards = ["0008627839"] }}'

Reply = Callable[[bytes], bytes]


def scenario(*tables: str, end_s: float = 120, folder: Path = HERE) -> Scenario:
    """A scenario that begins at 2027-03-01T05:00:00Z; AssertionError names its faults."""
    head = (
        f'scenario = {{ name = "act", seed = 4711, start = 2027-03-01T05:00:00Z, end_s = {end_s} }}'
    )
    read = read_scenario("\n".join((head, *tables)), folder)
    assert isinstance(read, Scenario), [str(fault) for fault in read]
    return read


class Act:
    """Moves a stage on; `reply` is the reader at the seal's line: bytes heard in, bytes written out."""

    def __init__(self, play: Scenario, reply: Reply | None = None) -> None:
        self.stage = Stage(play, start_ms=play.starts_ms(START_MS), tell_truth=True)
        self.reply = reply
        self.said: list[Bytes] = []
        self.plugs: list[Plug] = []
        self.truths: list[dict[str, object]] = []
        self.happened: list[Happened] = []

    def to(self, at_s: float, *, step_ms: int = 250) -> "Act":
        """Play to world second `at_s`, looking at the line every `step_ms`."""
        while self.stage.now_ms < round(at_s * 1000):
            self._take(self.stage.advance(min(self.stage.now_ms + step_ms, round(at_s * 1000))))
        return self

    def end(self) -> "Act":
        while not self.stage.done:
            self._take(self.stage.advance(self.stage.now_ms + 250))
        return self

    def do(self, word: str, **args: object) -> bool:
        """Let an event happen now; whether it changed anything."""
        event = read_event({"do": word, **args}, HERE, self.stage.now_ms)
        assert isinstance(event, Event), event
        self._take(self.stage.play(event))
        return self.happened[-1].applied

    def write(self, device: str, data: bytes) -> None:
        self._take(self.stage.feed(device, data))

    def heard(self, device: str, from_s: float = 0) -> bytes:
        """All bytes of `device` that arrived from world second `from_s` on."""
        return b"".join(
            s.data for s in self.said if s.device == device and s.at_ms >= from_s * 1000
        )

    def frames(self, from_s: float = 0) -> list[str]:
        """What the seal said, each binary frame as `kind status wake`, text as it is."""
        return [short(frame) for frame in frames_of(self.heard("seal", from_s))]

    def notes(self, key: str) -> list[object]:
        return [line[key] for line in self.truths if key in line]

    def _take(self, outs: Iterable[Out]) -> None:
        for out in outs:
            match out:
                case Bytes() as said:
                    self.said.append(said)
                    if self.reply is not None and said.device == "seal":
                        self.write("seal", self.reply(said.data))
                case Plug() as plug:
                    self.plugs.append(plug)
                case Truth(line=line):
                    self.truths.append(line)
                case Happened() as happened:
                    self.happened.append(happened)


def frames_of(data: bytes) -> list[bytes]:
    """Undamaged seal bytes cut into frames: 62 bytes after `$`, else up to `)`."""
    frames = []
    while data:
        size = 62 if data[:1] == b"$" else data.index(b")") + 1
        frames.append(data[:size])
        data = data[size:]
    return frames


def short(frame: bytes) -> str:
    if frame[:1] == b"(":
        return frame.decode("ascii").replace(f"({SEAL_ID},", "(")
    kind = {1: "live", 2: "alarm", 3: "backlog"}[frame[7] & 15]
    return f"{kind} {frame[36:38].hex().upper()} wake {frame[45] & 15}"


def polite(data: bytes) -> bytes:
    """A reader that acknowledges everything at once."""
    answers = []
    for frame in frames_of(data):
        if frame[:1] == b"$":
            answers.append(b"(P69,0,%d)" % frame[-1])
        elif b",P45," in frame:
            answers.append(b"(P69,0,%d)" % int(frame.split(b",")[16]))
        elif (told := re.fullmatch(rb"\(\d+,(P52,2,\d+)\)", frame)) is not None:
            answers.append(b"(%s)" % told[1])
    return b"".join(answers)
