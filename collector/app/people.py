"""The first admin, and under which names the API answers.

Law: no default password exists. Who can read the collector's own words on its own machine makes the first account.
"""

import logging
import secrets

from collector.api.guard import Front
from collector.config import ApiSettings
from collector.people import Role
from collector.people.sessions import TOKEN_BYTES
from collector.store import people
from collector.store.database import Store

FIRST = "admin"

log = logging.getLogger(__name__)


async def first_admin(store: Store, url: str, now_ms: int) -> None:
    """With no admin's account there is one now, and its one-time link is told, this once."""
    async with store.write() as connection:
        if await people.has_admin(connection):
            return
        code = secrets.token_urlsafe(TOKEN_BYTES)
        await people.add_account(
            connection,
            user_id=FIRST,
            name="",
            role=Role.ADMIN,
            scope="",
            desk="",
            by="",
            now_ms=now_ms,
        )
        await people.set_up_anew(connection, FIRST, code, by="", now_ms=now_ms)
    log.warning(
        "there is no admin yet. Once, within 24 h: %s/setup#%s (later, on this machine: plomba user setup-link %s --local)",
        url,
        code,
        FIRST,
    )


def front_of(settings: ApiSettings) -> Front:
    """Under which names the API answers, and which proxies it believes."""
    return Front(
        names=(*settings.names, settings.host),
        proxies=settings.proxies,
        only_proxies=settings.cert_file is None and bool(settings.proxies),
    )
