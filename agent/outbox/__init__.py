"""Batches that no receipt covers yet, in SQLite (EDGE section 4).

Law: number, link, signature and storage of a batch are one transaction.
"""

from agent.outbox.core import Outbox
from agent.outbox.words import (
    KILL_POINTS,
    AtHome,
    Cause,
    ChainReason,
    ChainState,
    DeleteAfter,
    News,
    OutboxDiskError,
    OutboxError,
    OutboxFullError,
    OutboxLockedError,
    OutboxSettings,
    Previous,
    Stats,
    Trouble,
    Word,
)

__all__ = [
    "KILL_POINTS",
    "AtHome",
    "Cause",
    "ChainReason",
    "ChainState",
    "DeleteAfter",
    "News",
    "Outbox",
    "OutboxDiskError",
    "OutboxError",
    "OutboxFullError",
    "OutboxLockedError",
    "OutboxSettings",
    "Previous",
    "Stats",
    "Trouble",
    "Word",
]
