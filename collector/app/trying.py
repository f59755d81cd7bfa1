"""A draft of the rules tried beside the collector: in a process of its own, so that the intake waits for nothing (CONSOLE section 2).

Law: the process reads and writes nothing; it ends with its work, with its time, or with the one who asked.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import asdict, replace

from sqlalchemy import select

from collector.api.dry_runs import Alarm, Job, Rehearse, Step
from collector.app.rulebook import drafted
from collector.io import clock
from collector.store import RulesRow, StoreError, schema
from collector.store.database import Store
from collector.tick.rehearsal import Area, Rehearsed, rehearse

TELL_MS = 500  # so often the one who waits is told how far it came
LINE_BYTES_MAX = 16 << 20  # of an answer: 50,000 alarms
ALARMS_MAX = 50_000
LATE_S = 15.0  # beyond its own deadline: start, rules of a country, a last piece
NICE = 10
EMPTY = '{"type":"FeatureCollection","features":[]}'


async def here(
    store: Store, job: Job, *, mono_ms: Callable[[], int] = clock.mono_ms
) -> AsyncGenerator[Step]:
    """In this process."""
    until_ms = mono_ms() + job.deadline_ms
    journeys = await store.journeys()
    base = job.base or replace(job.row, zones=EMPTY, routes=EMPTY, thresholds="")
    draft, today = [
        await asyncio.to_thread(drafted, replace(row, valid_from_ms=0), journeys)
        for row in (job.row, base)
    ]
    area = Area(
        since_ms=job.since_ms,
        boxes=job.boxes,
        units=frozenset(job.units) | await _on_routes(store, job),
        all_units=job.all_units,
        scope=job.scope,
    )
    told_ms, done = mono_ms(), Rehearsed()
    async with aclosing(
        rehearse(store, draft, today, area, mono_ms=mono_ms, until_ms=until_ms)
    ) as pieces:
        async for done in pieces:
            if mono_ms() - told_ms >= TELL_MS:
                told_ms = mono_ms()
                yield _step(done)
    yield replace(_step(done), alarms=alarms_of(done, job), is_partial=done.is_partial)


def alarms_of(done: Rehearsed, job: Job) -> tuple[Alarm, ...]:
    """Alerts of the drafted shapes, those that are new, and those that would be gone; in order of time."""
    names = frozenset(job.names)
    found = []
    for id_ in done.draft.keys() | done.today.keys():
        finding = done.draft.get(id_) or done.today[id_]
        by_draft, today = id_ in done.draft, id_ in done.today
        is_named = finding.zone in names or finding.route in names
        if by_draft and today and not (is_named or job.all_units):
            continue  # it happened near by, and the draft makes no difference to it
        assert finding.priority is not None, "an alert has one"
        found.append(
            Alarm(
                code=finding.code,
                priority=finding.priority.value,
                unit=finding.unit,
                at_ms=finding.at_ms,
                lat_e7=finding.lat_e7,
                lon_e7=finding.lon_e7,
                zone=finding.zone,
                route=finding.route,
                by_draft=by_draft,
                today=today,
            )
        )
    found.sort(key=lambda one: (one.at_ms, one.unit, one.code))
    return tuple(found[:ALARMS_MAX])


def apart(url: str) -> Rehearse:
    """In a process of its own, over the store at `url`."""

    async def run(job: Job) -> AsyncGenerator[Step]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector.app.trying"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(job.deadline_ms / 1_000 + LATE_S):
                with suppress(ConnectionError):
                    process.stdin.write(json.dumps({"url": url, "job": asdict(job)}).encode())
                    process.stdin.write_eof()
                    await process.stdin.drain()
                while line := await process.stdout.readline():
                    yield _step_of(line)
                if await process.wait() != 0:
                    yield _FAULT
        except (TimeoutError, ValueError):
            yield _FAULT
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())

    return run


_FAULT = Step(percent=0, units=0, of_units=0, batches=0, positions=0, fault="it broke off")


def _step(done: Rehearsed) -> Step:
    return Step(
        percent=done.percent,
        units=done.units,
        of_units=done.of_units,
        batches=done.batches,
        positions=done.positions,
    )


def _step_of(line: bytes) -> Step:
    said = json.loads(line)
    if said["alarms"] is not None:
        said["alarms"] = tuple(Alarm(**one) for one in said["alarms"])
    return Step(**said)


def _job_of(said: dict[str, object]) -> Job:
    row, base, boxes = said.pop("row"), said.pop("base"), said.pop("boxes")
    assert isinstance(row, dict)
    assert isinstance(boxes, list)
    lists = {key: tuple(value) for key, value in said.items() if isinstance(value, list)}
    return Job(
        **{**said, **lists},  # type: ignore[arg-type]  # as `apart` wrote them
        row=RulesRow(**row),
        base=RulesRow(**base) if isinstance(base, dict) else None,
        boxes=tuple((box[0], box[1], box[2], box[3]) for box in boxes),
    )


async def _on_routes(store: Store, job: Job) -> frozenset[str]:
    """Units with a journey on one of the routes."""
    if not job.routes:
        return frozenset()
    unit, journey = schema.unit.c, schema.journey.c
    async with store.read() as connection:
        found = await connection.execute(
            select(unit.unit_id)
            .join(schema.journey, journey.unit_no == unit.number)
            .where(journey.route.in_(job.routes))
            .distinct()
        )
        return frozenset(found.scalars())


async def _main() -> None:
    said = json.loads(sys.stdin.buffer.read())
    async with await Store.open(said["url"]) as store:
        async for step in here(store, _job_of(said["job"])):
            sys.stdout.write(json.dumps(asdict(step)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    os.nice(NICE)
    try:
        asyncio.run(_main())
    except BrokenPipeError:
        os._exit(0)  # nobody listens any more
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
