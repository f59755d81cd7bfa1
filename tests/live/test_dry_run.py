"""A draft tried in a process of its own: it says what it would have said here, and ends with the one who asked."""

import os
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from collector.api.dry_runs import Job, Step, job_of
from collector.api.shapes import Draft, Laid, lay
from collector.app.trying import apart, here
from collector.store.database import Store
from tests.collector.fleet import Centre, FleetUnit
from tests.collector.test_dry_runs import YARD, drive

pytestmark = pytest.mark.live


async def stored(path: Path) -> tuple[str, Job]:
    """A file with what a truck did, and a draft of a yard on its way."""
    url = f"sqlite:///{path / 'collector.db'}"
    async with await Store.open(url) as store:
        centre, unit = Centre(store), FleetUnit(unit_id="uz-01")
        await centre.enrol(unit)
        await centre.hear(unit, unit.begin().envelope, *drive(unit, begin=0, fixes=120))
    draft = Draft(features=(YARD,))
    laid = lay(None, draft)
    assert isinstance(laid, Laid)
    return url, job_of(draft, laid, None, days=7, now_ms=centre.now_ms, scope="")


def children() -> set[str]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text(encoding="ascii").split()}


async def test_apart_says_what_it_would_have_said_here(tmp_path: Path) -> None:
    url, job = await stored(tmp_path)
    async with await Store.open(url) as store:
        mine = [step async for step in here(store, job)]
    theirs = [step async for step in apart(url)(job)]
    assert theirs[-1] == mine[-1]
    assert theirs[-1].alarms is not None
    assert [one.code for one in theirs[-1].alarms] == ["FORBIDDEN_ZONE"]


async def test_who_goes_away_takes_it_with_him_and_what_breaks_is_said(tmp_path: Path) -> None:
    url, job = await stored(tmp_path)
    before = children()
    async with aclosing(apart(url)(replace(job, all_units=True))) as steps:
        async for step in steps:
            assert isinstance(step, Step)
            break
    assert children() == before
    nowhere = [step async for step in apart(f"sqlite:///{tmp_path}/no/such.db")(job)]
    assert [step.fault for step in nowhere] == ["it broke off"]
