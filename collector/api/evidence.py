"""What stands behind a row of the screen: a batch's hash, links and receipt, its signed bytes, and a unit's custody (CONSOLE section 2, EVIDENCE 4).

Law: never PROVEN: that word needs the public log and its witnesses, which this collector does not have yet. What was read is kept
before it is shown.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from collector.api.admin_units import UnitId
from collector.api.auth import Who
from collector.api.models import Answer
from collector.api.problems import not_found
from collector.api.times import rfc3339
from collector.store import proofs, schema, spell
from collector.store.database import Store
from collector.store.live import in_scope
from collector.store.proofs import Place, Proof
from wire import Refused
from wire.batch import Header, h0, head_of, read_payload
from wire.envelope import Aad, open_envelope, verify
from wire.topics import UNIT_ID

UNLOGGED_MS = 60_000  # R1 older than this without a leaf
EVENTS_MAX = 200  # each found one is looked for along its chain
PENDING, UNLOGGED, BROKEN = "PENDING", "UNLOGGED", "BROKEN"
LOG = "no public log runs here yet: a receipt is all there is, and nothing is PROVEN"

BatchName = Annotated[
    str,
    Path(
        pattern=rf"^{UNIT_ID.pattern}\.[0-9a-f]{{32}}\.\d{{1,10}}$",
        description="unit, chain (hex) and number, with dots between",
    ),
]


class Neighbour(Answer):
    batch: str
    head: str
    linked: bool = Field(description="whether the later one names the head of the earlier")


class Evidence(Answer):
    """A stored batch and what can be shown for it."""

    batch: str
    unit: str
    unit_no: int = Field(description="its number, as on the live line")
    chain: str
    number: int
    state: str = Field(description="PENDING, UNLOGGED (60 s without a leaf) or BROKEN")
    log: str = Field(description="why it is not PROVEN")
    broken: list[str] = Field(description="the checks that failed, of those made just now")
    env: str = Field(description="SHA-256 of the envelope: what a leaf names")
    head: str = Field(description="what the next batch links to")
    kid: str
    key: str | None = Field(
        description="the public key of that kid in hex, as enrolled; null: there is none"
    )
    bytes: int
    first_seq: int
    count: int
    sealed: str
    received: str
    early: str | None = Field(description="when an early copy was judged")
    refused: str | None = Field(description="why its records are not used, if they are not")
    before: Neighbour | None = Field(description="null: it begins its chain, or that is not stored")
    after: Neighbour | None = Field(description="null: none yet")


class Custody(Answer):
    """One event in the custody of a unit's seal and cargo."""

    at: str
    what: str = Field(description="found, journey, order, report, stop_order or key")
    code: str
    by: str | None = Field(description="null: the unit's own word, or the detectors'")
    data: dict[str, Any]
    batch: str | None = Field(description="that holds the record it stands on; null: none does")
    state: str | None = Field(
        description="of that batch by its age; whether it is BROKEN is seen there"
    )


class CustodyPage(Answer):
    unit: str
    events: list[Custody] = Field(description="the newest first")
    cut: bool = Field(description="there are more: ask for a shorter time")
    log: str


def add_evidence(api: FastAPI, store: Store, now_ms: Callable[[], int]) -> None:
    """The routes."""

    async def find(scope: str, batch: str) -> tuple[Place, Proof]:
        place = _place(batch)
        async with store.read() as connection:
            proof = await proofs.proof(connection, place, scope)
        if proof is None:
            raise not_found("batch", f"{batch} is not settled here")
        return place, proof

    @api.get("/api/v1/evidence/{batch}", tags=["evidence"], summary="What stands behind a batch")
    async def evidence(who: Who, batch: BatchName) -> Evidence:
        place, proof = await find(who.scope, batch)
        return _evidence(place, proof, now_ms())

    @api.get(
        "/api/v1/evidence/{batch}/envelope",
        tags=["evidence"],
        summary="Its signed bytes, as they came",
        response_class=Response,
        responses={200: {"content": {"application/cose": {}}}},
    )
    async def envelope(who: Who, batch: BatchName) -> Response:
        _, proof = await find(who.scope, batch)
        return Response(
            proof.row.envelope,
            media_type="application/cose",
            headers={"Content-Disposition": f'attachment; filename="{batch}.cose"'},
        )

    @api.get(
        "/api/v1/units/{unit_id}/custody",
        tags=["evidence"],
        summary="Who had it, who opened it, who looked: as far as the store knows",
    )
    async def custody(
        who: Who,
        unit_id: UnitId,
        begin: Annotated[int, Query(ge=0, le=1 << 53, alias="from", description="ms")] = 0,
        end: Annotated[int | None, Query(ge=0, le=1 << 53, alias="to", description="ms")] = None,
    ) -> CustodyPage:
        end_ms = now_ms() + 1 if end is None else end
        async with store.read() as connection:
            unit = schema.unit.c
            found = await connection.execute(
                select(unit.number).where(unit.unit_id == unit_id, in_scope(unit.scope, who.scope))
            )
            number = found.scalar_one_or_none()
            if number is None:
                raise not_found("unit", f"{unit_id} is not enrolled")
            events = [
                *await _found(connection, unit_id, number, begin, end_ms, now_ms()),
                *await _acts(connection, number, begin, end_ms),
            ]
        events.sort(key=lambda one: one.at, reverse=True)
        return CustodyPage(
            unit=unit_id, events=events[:EVENTS_MAX], cut=len(events) > EVENTS_MAX, log=LOG
        )


def state_of(rx_ms: int, now_ms: int) -> str:
    """What time alone says: there is no log, so no batch has a leaf."""
    return UNLOGGED if now_ms - rx_ms > UNLOGGED_MS else PENDING


def faults_of(place: Place, proof: Proof) -> tuple[Header | None, list[str]]:
    """The checks on a stored batch, made anew from its bytes: each that fails by its name."""
    opened = open_envelope(proof.row.envelope, Aad.BATCH)
    if isinstance(opened, Refused):
        return None, ["envelope"]
    faults = []
    key = proof.keys.get(opened.kid)
    if key is None:
        faults.append("key")
    elif not verify(opened, Aad.BATCH, key):
        faults.append("signature")
    if head_of(opened.payload) != proof.row.head:
        faults.append("head")
    header = read_payload(opened.payload)
    if isinstance(header, Refused):
        return None, [*faults, "payload"]
    told = (header.unit_id, header.chain_id, header.batch_no, header.first_seq, header.count)
    stored = (place.unit, place.chain_id, place.batch_no, proof.row.first_seq, proof.row.records)
    if told != stored:
        faults.append("row")
    if not _is_linked(place, header, proof, key):
        faults.append("link")
    if proof.after is not None and not _names(proof.after, proof.row.head):
        faults.append("link_after")
    return header, faults


def _is_linked(place: Place, header: Header, proof: Proof, key: bytes | None) -> bool:
    if header.batch_no == 0:
        return key is None or header.prev == h0(place.unit, place.chain_id, key)
    return proof.before is None or header.prev == proof.before.head


def _names(row: Row[Any], head: bytes) -> bool:
    """Whether a stored batch links to `head`."""
    opened = open_envelope(row.envelope, Aad.BATCH)
    if isinstance(opened, Refused):
        return False
    header = read_payload(opened.payload)
    return not isinstance(header, Refused) and header.prev == head


def _evidence(place: Place, proof: Proof, now_ms: int) -> Evidence:
    row = proof.row
    header, broken = faults_of(place, proof)
    opened = open_envelope(row.envelope, Aad.BATCH)
    key = None if isinstance(opened, Refused) else proof.keys.get(opened.kid)
    before, after = proof.before, proof.after
    return Evidence(
        batch=_name(place.unit, place.chain_id, place.batch_no),
        unit=place.unit,
        unit_no=row.unit_no,
        chain=place.chain_id.hex(),
        number=place.batch_no,
        state=BROKEN if broken else state_of(row.rx_ms, now_ms),
        log=LOG,
        broken=broken,
        env=sha256(row.envelope).hexdigest(),
        head=row.head.hex(),
        kid="" if isinstance(opened, Refused) else opened.kid.hex(),
        key=None if key is None else key.hex(),
        bytes=len(row.envelope),
        first_seq=row.first_seq,
        count=row.records,
        sealed=rfc3339(row.sealed_ms),
        received=rfc3339(row.rx_ms),
        early=None if row.early_ms is None else rfc3339(row.early_ms),
        refused=row.reason,
        before=None
        if before is None
        else Neighbour(
            batch=_name(place.unit, place.chain_id, before.batch_no),
            head=before.head.hex(),
            linked=header is not None and header.prev == before.head,
        ),
        after=None
        if after is None
        else Neighbour(
            batch=_name(place.unit, place.chain_id, after.batch_no),
            head=after.head.hex(),
            linked=_names(after, row.head),
        ),
    )


async def _found(  # of one unit and span
    connection: AsyncConnection, unit: str, unit_no: int, begin: int, end: int, now_ms: int
) -> list[Custody]:
    rows = await proofs.seal_findings(connection, unit, begin, end, EVENTS_MAX + 1)
    records = [
        (row.chain, row.seq) for row in rows if row.chain is not None and row.seq is not None
    ]
    held = await proofs.batches_of(connection, unit_no, records)
    events = []
    for row in rows:
        batch = held.get((row.chain, row.seq))
        value, data = spell.read(row.detail)
        events.append(
            Custody(
                at=rfc3339(row.at_ms),
                what="found",
                code=row.code,
                by=None,
                data={"phase": row.phase, "seal": row.seal, "value": value, **data},
                batch=None if batch is None else _name(unit, row.chain, batch.batch_no),
                state=None if batch is None else state_of(batch.rx_ms, now_ms),
            )
        )
    return events


async def _acts(
    connection: AsyncConnection, unit_no: int, begin: int, end: int
) -> Iterable[Custody]:
    by_table = await proofs.acts_of(connection, unit_no, begin, end, EVENTS_MAX + 1)
    said: list[tuple[int, str, str, str, dict[str, Any]]] = [
        *(
            (row.since_ms, "journey", row.state, "", {"journey": row.id, "sealed": row.sealed})
            for row in by_table["journey"]
        ),
        *(
            (row.at_ms, "order", row.act, row.who, {"order": row.order_id.hex(), "why": row.why})
            for row in by_table["order"]
        ),
        *(
            (
                *(row.at_ms, "report", "matches" if row.matches else "differs", row.who),
                {"journey": row.journey, "seen": row.seen},
            )
            for row in by_table["report"]
        ),
        *(
            (row.at_ms, "stop_order", "stop", row.who, {"why": row.why})
            for row in by_table["stop_order"]
        ),
        *(
            (row.lifted_ms, "stop_order", "lifted", row.lifted_by, {"why": row.lifted_why})
            for row in by_table["stop_order"]
            if row.lifted_ms is not None
        ),
        *(
            (row.at_ms, "key", row.act, row.who, {"kid": row.kid.hex(), "why": row.why})
            for row in by_table["key"]
        ),
    ]
    return [
        Custody(
            at=rfc3339(at_ms),
            what=what,
            code=code,
            by=by or None,
            data=data,
            batch=None,
            state=None,
        )
        for at_ms, what, code, by, data in said
    ]


def _name(unit: str, chain_id: bytes, number: int) -> str:
    return f"{unit}.{chain_id.hex()}.{number}"


def _place(name: str) -> Place:
    unit, chain, number = name.split(".")
    return Place(unit=unit, chain_id=bytes.fromhex(chain), batch_no=int(number))
