"""How the officer's pages travel: the same page, against a dictionary that the phone holds, as gzip, or plain where another site asks."""

from base64 import b64encode
from gzip import decompress
from hashlib import sha256

import pytest
from starlette.datastructures import Headers
from zstandard import DICT_TYPE_RAWCONTENT, ZstdCompressionDict, ZstdDecompressor

from collector.api.officer_packing import Packing
from collector.texts import LANGUAGES
from tests.collector.test_officer import OURS, Road, road
from tests.collector.test_officer_pages import FOUR, PAGES, REPORT, answer, frame
from tests.collector.test_standing import SEAL

__all__ = ["road"]
PACKING = Packing(PAGES)
PAGE_BYTES_MAX = 512  # of an answer, to a phone that holds the dictionary
DICTIONARY_BYTES_MAX = 6_144
BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd, dcb, dcz", **OURS}


def held(dictionary: bytes) -> str:
    """As a browser names what it holds (RFC 9842, 2.2)."""
    return f":{b64encode(sha256(dictionary).digest()).decode()}:"


def unpacked(data: bytes, dictionary: bytes) -> bytes:
    """As a browser reads it (RFC 9842, 5)."""
    assert data[:8] == bytes.fromhex("5e2a4d1820000000")
    assert data[8:40] == sha256(dictionary).digest()
    shared = ZstdCompressionDict(dictionary, dict_type=DICT_TYPE_RAWCONTENT)
    return ZstdDecompressor(dict_data=shared).decompress(data[40:])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("colour", FOUR)
def test_an_answer_against_the_dictionary_is_half_a_kilobyte(language: str, colour: str) -> None:
    page = PAGES.answer(frame(language), answer(FOUR[colour]), REPORT).encode()
    asked = Headers({**BROWSER, "Available-Dictionary": held(PACKING.dictionary)})
    data, headers = PACKING.packed(page, asked)
    assert headers == {"Content-Encoding": "dcz"}
    assert unpacked(data, PACKING.dictionary) == page
    assert len(data) <= PAGE_BYTES_MAX


def test_each_process_makes_the_same_dictionary_and_nobody_stands_in_it() -> None:
    assert Packing(PAGES).dictionary == PACKING.dictionary
    assert b'name="csrf" value=""' in PACKING.dictionary
    assert b"nonce-" not in PACKING.dictionary


@pytest.mark.parametrize(
    "asked",
    [
        {**BROWSER, "Available-Dictionary": held(b"of the program before")},
        {**BROWSER, "Available-Dictionary": "?", "Accept-Encoding": "gzip, dcz"},
        {**OURS, "Accept-Encoding": "gzip", "Available-Dictionary": held(PACKING.dictionary)},
        BROWSER,
    ],
)
def test_who_holds_none_of_ours_gets_gzip_and_is_told_where_it_lies(asked: dict[str, str]) -> None:
    data, headers = PACKING.packed(b"<p>" * 99, Headers(asked))
    assert decompress(data) == b"<p>" * 99
    link = f"</o/dictionary?v={PACKING.version}>;rel=compression-dictionary"
    assert headers == {"Content-Encoding": "gzip", "Link": link}


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_at_another_sites_wish_nothing_is_packed(site: str) -> None:
    asked = {**BROWSER, "Available-Dictionary": held(PACKING.dictionary), "Sec-Fetch-Site": site}
    assert PACKING.packed(b"<p>", Headers(asked)) == (b"<p>", {})


async def test_a_phone_that_was_given_the_dictionary_gets_the_answer_against_it(road: Road) -> None:
    await road.in_order()
    phone = await road.officer()
    first = await phone.get("/o/s", params={"q": SEAL}, headers=BROWSER)
    address = first.headers["link"].partition(">")[0].removeprefix("<")
    stranger = road.phone()
    dictionary = await stranger.get(address)
    assert dictionary.headers["use-as-dictionary"] == 'match="/o/*"'
    assert "immutable" in dictionary.headers["cache-control"]
    assert int(dictionary.headers["content-length"]) <= DICTIONARY_BYTES_MAX
    old = await stranger.get("/o/dictionary?v=00000000")
    assert "use-as-dictionary" not in old.headers
    assert old.headers["cache-control"] == "no-store"
    asked = {**BROWSER, "Available-Dictionary": held(dictionary.content)}
    packed = await phone.get("/o/s", params={"q": SEAL}, headers=asked)
    assert packed.headers["content-encoding"] == "dcz"
    assert int(packed.headers["content-length"]) == len(packed.content) <= PAGE_BYTES_MAX
    assert 'class="v green"' in unpacked(packed.content, dictionary.content).decode()
