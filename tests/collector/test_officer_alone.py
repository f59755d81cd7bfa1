"""A unit's code where there is no network: the keys that a phone holds, and the page on which it looks."""

import re

from sqlalchemy import update

from collector.store import schema
from collector.store.people import set_unit_scope
from collector.texts import LANGUAGES
from collector.texts.catalogue import text
from tests.collector.fleet import FleetUnit
from tests.collector.test_officer import Road, road
from tests.wire.keys import public_key

__all__ = ["road"]


async def test_an_officers_phone_is_given_the_keys_in_force_of_his_part(road: Road) -> None:
    await road.in_order()
    other = FleetUnit(unit_id="uz-0043")
    await road.post.centre.enrol(other)
    async with road.post.store.write() as connection:
        await set_unit_scope(connection, "uz-0043", "uz.north")
    mine = [road.post.number, "uz-0042", public_key("unit uz-0042").hex()]
    phone = await road.officer()
    whole = await phone.get("/o/keys")
    assert whole.status_code == 200
    assert whole.headers["cache-control"] == "private, no-cache"
    assert [one[1] for one in whole.json()["keys"]] == ["uz-0042", "uz-0043"]
    assert mine in whole.json()["keys"]
    north = await (await road.officer(scope="uz.north", who="officer-13")).get("/o/keys")
    assert [one[1] for one in north.json()["keys"]] == ["uz-0043"]
    again = await phone.get("/o/keys", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    async with road.post.store.write() as connection:
        await connection.execute(update(schema.unit_key).values(revoked_ms=road.now_ms))
    assert (await phone.get("/o/keys")).json() == {"keys": []}


async def test_who_is_no_officer_and_in_no_room_gets_no_keys(road: Road) -> None:
    stranger = await road.phone().get("/o/keys")
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/o/login")


async def test_the_page_for_a_code_without_the_centre_is_grey_in_each_language(road: Road) -> None:
    phone = await road.officer()
    for language in LANGUAGES:
        page = await phone.get("/o/h/", params={"lang": language})
        assert page.status_code == 200
        assert re.findall(r'<section class="v (\w+)"', page.text) == ["grey"]
        assert text("officer.green", language) not in page.text
        assert page.text.count(" hidden>") == 4  # three words and the button: a script shows one
        assert len(page.content) < 14_336
