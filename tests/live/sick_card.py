"""A process whose card has sectors that cannot be read: `python -m tests.live.sick_card DISK RUN [BAD_AT]`.

With BAD_AT that sector of the store goes bad while it runs. Prints what became of the store, as one line of JSON.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from agent.outbox import Trouble
from tests.agent.facts import at
from tests.agent.outbox_rig import SMALL, all_rows, batch, missing, opened, told
from tests.agent.test_outbox_salvage import salvage_all


def spoil(store: Path, bad_at: int) -> None:
    """From now on."""
    Path(os.environ["BAD_SECTORS"]).write_text(f"{store.stat().st_ino} {bad_at}\n")


async def play(disk: Path, run: Path, bad_at: int | None) -> dict[str, object]:
    """Collect, meet the sector, and collect for some minutes more."""
    async with opened(disk, run=run, settings=SMALL, moment=at(10_000)) as outbox:
        if bad_at is not None:
            spoil(disk / "outbox.db", bad_at)
        for _ in range(2):  # what is not in SQLite's cache is read from the card
            await outbox.waiting(count_max=100_000)
        for number in range(6):  # the disk is tried again each minute
            one = await outbox.store(batch(f"after {number}"), at(20_000 + number * 70_000))
            await salvage_all(outbox, 20_000 + number * 70_000)
            assert await outbox.read(one.pos, at(25_000 + number * 70_000)) is not None
        rows = await all_rows(outbox, 500_000)
        assert missing(rows) <= told(rows)
        stats = outbox.stats()
        news = outbox.take_news()
    return {
        "spilled": stats.spilled,
        "aside": stats.aside_files,
        "rows": len(rows),
        "told": len(told(rows)),
        "chains": len(stats.chains),
        "spills": sum(one.trouble is Trouble.SPILL for one in news),
        "damaged": sum(one.trouble is Trouble.DAMAGED for one in news),
        "news": [f"{one.trouble.value}: {one.detail}" for one in news],
    }


if __name__ == "__main__":
    folder, run_folder, *more = sys.argv[1:]
    bad = int(more[0]) if more else None
    sys.stdout.write(json.dumps(asyncio.run(play(Path(folder), Path(run_folder), bad))))
