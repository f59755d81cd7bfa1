"""From a detector's hit to a finding: unit, chain, id, priority, receipt.

Law: an id follows from the evidence that the finding stands on, never from when or where it was found.
"""

import hashlib

from collector.detect import PRIORITIES, Finding, Hit, Level, finding_key
from collector.detect.rules import Rulebook, situated


def finding_of(
    unit: str,
    chain: bytes | None,
    seq: int | None,
    hit: Hit,
    confirmed_ms: int,
    received_ms: int | None,
    book: Rulebook,
) -> Finding:
    priority = hit.priority or PRIORITIES.get(hit.code)
    # What no record began is named by its subject alone: whoever says it says it once (section 2, Ids)
    owner = "" if seq is None else unit
    key = finding_key(owner, chain, seq or 0, hit.code, hit.subject)
    late_ms = book.at(confirmed_ms).thresholds.late_s * 1_000
    finding = Finding(
        id=hashlib.sha256(key).digest()[:16],
        n=hit.n,
        code=hit.code,
        level=Level.RECORD if priority is None else Level.ALERT,
        priority=priority,
        phase=hit.phase,
        unit=unit,
        chain=chain,
        seq=seq,
        at_ms=hit.at_ms,
        confirmed_ms=confirmed_ms,
        received_ms=received_ms,
        late=None if received_ms is None else received_ms - confirmed_ms > late_ms,
        lat_e7=hit.lat_e7,
        lon_e7=hit.lon_e7,
        zone=hit.zone,
        route=hit.route,
        seal=hit.seal,
        value=hit.value,
        data=hit.data,
    )
    return situated(book, finding)
