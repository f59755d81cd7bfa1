"""Named points at which the harness of durability lets the process die (EDGE section 12).

Law: nothing here is read from the environment; only a hidden option of the command line asks for it.
"""

import os
import signal
from dataclasses import dataclass

APP_POINTS = (  # the outbox names its own
    "ack",
    "publish",
    "puback",
    "receipt",
    "order:judged",  # nothing is committed
    "order:committed",  # the counter is; the seal has heard nothing
    "order:said",  # the bytes are on the line
    "order:ended",  # the seal has told; the record is not committed
)


@dataclass(slots=True)
class KillAt:
    """Ends the process, without any warning, at the `left`-th call with `name`."""

    name: str
    left: int

    def __call__(self, name: str) -> None:
        if name != self.name:
            return
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def parse_kill_at(text: str) -> KillAt:
    """`NAME:K`; ValueError otherwise."""
    name, _, count = text.rpartition(":")
    if not name or not count.isdecimal() or int(count) < 1:
        raise ValueError(f"NAME:K with K of 1 or more, is {text!r}")
    return KillAt(name, int(count))
