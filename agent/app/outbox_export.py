"""A store's batches on a stick, laid out as an evidence bundle (EDGE section 13, EVIDENCE section 10).

Law: envelopes leave byte for byte as they were signed. What is bad is left out and named; what waits for the collector's word stays at home.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from agent.app.outbox_rows import Lying, Tally
from agent.io import key
from wire import Refused
from wire.envelope import Aad, open_envelope
from wire.receipts import read_payload

FORMAT = 1
PROOF = "proofs/newest.txt"  # the newest R2 as it came: which batch it speaks of stands in its leaf


class ExportError(Exception):
    """The folder cannot be written; the message says what to do."""


@dataclass(slots=True)
class Export:
    """One bundle in the making."""

    folder: Path
    unit_id: str
    files: dict[str, str] = field(default_factory=dict)  # path: SHA-256

    def begin(self) -> None:
        """An empty folder. ExportError if there is something in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise ExportError(f"{self.folder} is not empty: name a new folder")
        except OSError as error:
            raise ExportError(f"{self.folder}: {error.strerror}") from error

    def batch(self, lying: Lying) -> None:
        self._put(f"batches/{lying.chain_id.hex()}/{lying.row.no}.cose", lying.row.envelope)

    def hello(self, envelope: bytes, at_ms: int) -> None:
        self._put(f"hellos/{at_ms}-{_kid(envelope, Aad.HELLO)}.cose", envelope)

    def receipt(self, envelope: bytes) -> None:
        """The newest R1, under the time at which the collector took it."""
        opened = open_envelope(envelope, Aad.RECEIPT)
        said = opened if isinstance(opened, Refused) else read_payload(opened.payload)
        at_ms = 0 if isinstance(said, Refused) else said.received_ms
        self._put(f"receipts/{at_ms}-{_kid(envelope, Aad.RECEIPT)}.cose", envelope)

    def proof(self, text: bytes) -> None:
        self._put(PROOF, text)

    def end(self, tally: Tally, made_ms: int) -> None:
        """The list of all files, last: a bundle without it was never finished."""
        words = {
            "format": FORMAT,
            "kind": "unit",
            "unit": self.unit_id,
            "from_ms": tally.first_ms,
            "to_ms": tally.last_ms,
            "made_ms": made_ms,
            "origin": None,  # the unit knows no log; whoever verifies brings policy and leaves
            "files": dict(sorted(self.files.items())),
        }
        self._write("bundle.json", json.dumps(words, indent=1).encode())
        try:
            key.sync_folder(self.folder)
        except OSError as error:
            raise ExportError(f"{self.folder}: {error.strerror}") from error

    def _put(self, path: str, data: bytes) -> None:
        self._write(path, data)
        self.files[path] = sha256(data).hexdigest()

    def _write(self, path: str, data: bytes) -> None:
        file = self.folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise ExportError(f"{file}: {error.strerror}; is the stick full?") from error


def counts(tally: Tally) -> Mapping[str, object]:
    """What was found, for people and programs."""
    return {
        "rows": sum(chain.rows for chain in tally.chains.values()),
        "missing": tally.missing,
        "bad": len(tally.bad),
    }


def _kid(envelope: bytes, aad: Aad) -> str:
    opened = open_envelope(envelope, aad)
    return "unreadable" if isinstance(opened, Refused) else opened.kid.hex()
