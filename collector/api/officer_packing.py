"""How an officer's page goes over a slow line: against a dictionary that the phone holds (RFC 9842), else as gzip, else as it is.

Law: what a page is does not depend on how it travels. No dictionary holds what is about anybody: only what all pages have in common.
"""

import gzip
from base64 import b64encode
from functools import cached_property
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from zstandard import DICT_TYPE_RAWCONTENT, ZstdCompressionDict, ZstdCompressor

from collector.api.officer_answers import Answer
from collector.api.officer_pages import Frame, Pages
from collector.customs.verdict import Colour, Facts, Reason, SealSeen, Verdict
from collector.store.standing import Subject
from collector.texts import LANGUAGES
from wire.records import SealBit

PATH = "/o/dictionary"
OURS = ("same-origin", "none")  # `none`: a person typed it, or has it among his favourites
LEVEL = 12  # 1 ms a page; more saves ten bytes
_MAGIC = bytes.fromhex(
    "5e2a4d1820000000"
)  # RFC 9842, 5: then the dictionary's SHA-256, then a frame of Zstandard
_FOR_EVER = "max-age=31536000, immutable"


class Packing:
    """One of each API: the same pages make the same dictionary in each of its processes."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    @cached_property
    def dictionary(self) -> bytes:
        """Made with the first page that is packed: a start waits for nobody's phone."""
        return _dictionary(self._pages)

    @cached_property
    def digest(self) -> bytes:
        return sha256(self.dictionary).digest()

    @property
    def version(self) -> str:
        return self.digest.hex()[:8]

    @cached_property
    def _zstd(self) -> ZstdCompressor:
        shared = ZstdCompressionDict(self.dictionary, dict_type=DICT_TYPE_RAWCONTENT)
        return ZstdCompressor(level=LEVEL, dict_data=shared, write_checksum=False)

    def packed(self, data: bytes, asked: Headers) -> tuple[bytes, dict[str, str]]:
        """The page as this browser takes it, and what it must be told about that.

        Not at the wish of another site's page: it might weigh on the line what is secret in ours.
        """
        codings = asked.get("accept-encoding", "")
        if asked.get("sec-fetch-site", "") not in OURS:
            return data, {}
        held = asked.get("available-dictionary")
        if "dcz" in codings and held == f":{b64encode(self.digest).decode()}:":
            return _MAGIC + self.digest + self._zstd.compress(data), {"Content-Encoding": "dcz"}
        if "gzip" not in codings:
            return data, {}
        # Whoever can use the dictionary fetches it when nothing else is to do; no script is needed for it.
        link = f"<{PATH}?v={self.version}>;rel=compression-dictionary"
        return gzip.compress(data, 9, mtime=0), {"Content-Encoding": "gzip", "Link": link}

    def file(self, version: str) -> tuple[bytes, dict[str, str]]:
        """The dictionary itself, packed; kept for good under its version alone."""
        headers = {"Content-Encoding": "gzip", "Cache-Control": "no-store"}
        if version == self.version:
            headers |= {"Cache-Control": _FOR_EVER, "Use-As-Dictionary": 'match="/o/*"'}
        return gzip.compress(self.dictionary, 9, mtime=0), headers


class Packed:
    """The middleware: pages under /o/ go packed, whatever answered them."""

    def __init__(self, app: ASGIApp, *, packing: Packing) -> None:
        self._app = app
        self._packing = packing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not scope["path"].lower().startswith("/o/"):
            await self._app(scope, receive, send)
            return
        held: Message = {}

        async def sending(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                kind = Headers(raw=message["headers"]).get("content-type", "")
                if kind.startswith("text/html"):
                    held = message
                    return
            elif held:  # a page is one piece
                data, more = self._packing.packed(message["body"], Headers(scope=scope))
                headers = MutableHeaders(raw=held["headers"])
                headers.update({**more, "Content-Length": str(len(data))})
                await send({**held, "headers": headers.raw})
                message = {**message, "body": data}
            await send(message)

        await self._app(scope, receive, sending)


def _dictionary(pages: Pages) -> bytes:
    """What pages have in common in each language: the form, a green answer, a grey one with the commonest reasons."""
    made = []
    for language in LANGUAGES:
        frame = Frame(language=language, nonce="")
        made.append(pages.form(frame))
        made += [pages.answer(frame, one, _REPORT) for one in _ANSWERS]
    return "".join(made).encode()


_REPORT = [(name, "") for name in ("csrf", "key", "unit", "journey", "seen", "lang")]
_SEAL = SealSeen(
    seal_id="UZ-0",
    reported_ms=0,
    known=int(SealBit.LOCKED),
    true=int(SealBit.LOCKED),
    battery_percent=80,
)
_FACTS = Facts(journey="26UZ0", seals=[_SEAL], fix_ms=0, ingest_ms=0)
_SUBJECT = Subject(
    unit_no=1,
    unit_id="uz-0",
    plate="01A",
    trailer="01",
    containers=("MSKU",),
    journey="26UZ0",
    route="0",
    lat_e7=413_000_000,
    lon_e7=692_000_000,
)
_REASONS = ("old_fix", "seal_silent", "rope_cut", "not_locked", "centre_lacks", "not_found")
_ANSWERS = [
    Answer(now_ms=0, verdict=verdict, facts=_FACTS, subject=_SUBJECT, checked=(True, 0))
    for verdict in (
        *(
            Verdict(colour=colour, reasons=tuple(Reason(code=one) for one in _REASONS))
            for colour in (Colour.RED, Colour.AMBER, Colour.GREY)
        ),
        Verdict(colour=Colour.GREEN, reasons=(), green_until_ms=300_000),
    )
]
