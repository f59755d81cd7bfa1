"""The tick over a real store: vectors, receipts, gaps, floods, and what a failure leaves behind."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from collector.store.database import Store
from collector.tick import Message
from tests.collector.fleet import Centre, receipts_in

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "wire"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://") as opened:
        yield opened


def chains() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / "chain.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", chains(), ids=lambda case: case["name"])
async def test_every_chain_gives_its_verdicts(store: Store, case: dict[str, Any]) -> None:
    centre = Centre(store)
    await store.add_unit(case["unit"], bytes.fromhex(case["public_key"]), now_ms=1)
    findings = []
    for step in case["steps"]:
        centre.now_ms += 2_000
        result = await centre.ticker.run(
            [
                Message(
                    topic=step["topic"],
                    payload=bytes.fromhex(step["hex"]),
                    received_ms=centre.now_ms,
                )
            ],
            centre.now_ms,
        )
        assert result.verdicts == {step["expect"]: 1}
        findings += [f.value for f in result.findings if f.code == "LOG_INTEGRITY"]
        through = step["through"]
        load = (await store.load_units([case["unit"]]))[case["unit"]]
        assert (load.fence.chain_id.hex(), load.fence.batch_no, load.fence.head.hex()) == (
            through["chain"],
            through["batch_no"],
            through["head"],
        )
        for receipt in receipts_in(result):
            assert (receipt.chain_id.hex(), receipt.through_batch_no) == (
                through["chain"],
                through["batch_no"],
            )
    by_reject = [step["expect"] for step in case["steps"] if step["expect"] in ("SeqJump", "Fork")]
    assert findings == [*case["findings"], *by_reject]
