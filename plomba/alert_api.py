"""Acts on alerts over the API, in the name of who is logged in; the collector decides, by role, scope and what was seen.

Law: who is not logged in by an account is not here: `alert_act` then writes to the store of this machine as its own user.
"""

import os
from pathlib import Path

from plomba import exits
from plomba.centre import Centre, Row, fail, is_running, need_store

SEARCH_MAX = 10_000  # alerts among which the first digits of an id are looked for


def desk_of(data_dir: Path) -> Centre | None:
    """The collector at which somebody is logged in by an account of his own; None: the store of this machine is meant, and it is there.

    Who names a collector by PLOMBA_API means that one: without a session there the command ends with 4.
    """
    url = os.environ.get("PLOMBA_API", "")
    if not url and not is_running(data_dir):
        need_store(data_dir)
        return None
    centre = Centre(data_dir, url)
    if not centre.is_logged_in():
        if url:
            fail(exits.NOT_ALLOWED, f"{url}: nobody is logged in there: plomba login --api {url}")
        return None
    # A local session is the operating system's user, who may write the store and cannot show a second factor.
    return None if str(centre.get("/me")["user"]).startswith("os:") else centre


def act(centre: Centre, digits: str, name: str, *, seen: int | None = None, **said: object) -> Row:
    """The alert after `name` was done to it; ends the command if it may not be."""
    row = find(centre, digits)
    count = row["count"]
    assert isinstance(count, int)
    if seen is not None and seen < count:
        fail(exits.FAILED, f"nothing is changed, not_seen: it was told again, {count} times by now")
    rev = row["rev"]
    assert isinstance(rev, int)
    body = {key: value for key, value in said.items() if value not in (None, "")}
    return centre.post(f"/alerts/{row['id']}/{name}", body, rev=rev)


def find(centre: Centre, digits: str) -> Row:
    """The one alert whose id begins so."""
    if len(digits) == 32:
        found = centre.get(f"/alerts/{digits}")["alert"]
        assert isinstance(found, dict)
        return found
    rows = centre.pages("/alerts", "rows", rows_max=SEARCH_MAX, view="all")
    mine = [row for row in rows if str(row["id"]).startswith(digits)]
    if len(mine) > 1:
        fail(exits.USAGE, f"several alerts begin with {digits}: give more digits")
    if not mine:
        fail(exits.NOT_FOUND, f"no alert begins with {digits} among the newest {SEARCH_MAX}")
    return mine[0]
