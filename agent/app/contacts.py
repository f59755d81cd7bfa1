"""First contact with seals, carried out; and which password opens one (DEVICES section 4.5; EDGE section 6).

Law: a step is on the disk before it is on the line. Where the unit may not read what it has kept, it says nothing to the seal.
"""

import secrets
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from agent.app.log import say, warn
from agent.io import seal_file
from agent.io.secret_file import SecretFileError, read_secret
from agent.orders.contact import Contact, Keep, Turn
from agent.orders.means import SealOrder
from devices import Fact, SealEvent

PASSWORD_CHARS = 6  # as many as a lock comes with; nobody has tried a longer one
_ALPHABET = string.ascii_letters + string.digits


class Noting(Protocol):
    """The way of a fact, as far as a seal's differences go it."""

    async def note(self, fact: SealEvent) -> None:
        """Record it as if a device had said it."""


Tell = Callable[[str, SealOrder], object]  # how a seal is spoken to


class Contacts:
    """All seals with which the settings want a first contact, and the passwords of all."""

    def __init__(
        self, folder: Path, *, wanted: frozenset[str], secret_files: Mapping[str, Path], tell: Tell
    ) -> None:
        self._folder = folder
        self._secret_files = secret_files
        self._tell = tell
        self._contacts: dict[str, Contact] = {}
        for seal_id in sorted(wanted):
            self._begin(seal_id)

    def _begin(self, seal_id: str) -> None:
        try:
            keep = seal_file.load(self._folder, seal_id)
            path = self._secret_files.get(seal_id)
            first = None if path is None else read_secret(path)
        except SecretFileError as error:
            warn("no_first_contact", seal=seal_id, why=str(error))
            return
        self._contacts[seal_id] = Contact(
            seal_id, keep or Keep(), first_password=first, fresh=fresh_password
        )

    def password(self, seal_id: str) -> tuple[str | None, str]:
        """The one that is in force, or None and why there is none."""
        try:
            keep = seal_file.load(self._folder, seal_id)
            if keep is not None and keep.password is not None:
                return keep.password, ""
            path = self._secret_files.get(seal_id)
            return (None, "") if path is None else (read_secret(path), "")
        except SecretFileError as error:
            warn("no_password", seal=seal_id, why=str(error))
            return None, str(error)

    def busy(self, seal_id: str) -> str:
        """Why an unlock has to wait, if it has."""
        contact = self._contacts.get(seal_id)
        return "first contact" if contact is not None and contact.changes_password else ""

    async def hear(self, seal_id: str, fact: Fact, mono_ms: int, way: Noting) -> None:
        """The seal has spoken, and nothing else is asked of it."""
        contact = self._contacts.get(seal_id)
        if contact is None:
            return
        await self._carry_out(seal_id, contact, contact.hear(fact, mono_ms), way)
        await self._carry_out(seal_id, contact, contact.speak(mono_ms), way)

    async def _carry_out(
        self, seal_id: str, contact: Contact, turn: Turn | None, way: Noting
    ) -> None:
        if turn is None:
            return
        if turn.trouble:
            warn("first_contact_failed", seal=seal_id, why=turn.trouble)
        if turn.changed is not None:
            await way.note(turn.changed)
        if turn.keep is not None and turn.keep != contact.keep:
            try:
                # A few times in a seal's life, so the loop may wait for the disk.
                seal_file.save(self._folder, seal_id, turn.keep)
            except OSError as error:
                warn("first_contact_not_kept", seal=seal_id, why=error.strerror)
                return  # and nothing is said
            contact.kept(turn.keep)
            say("first_contact", seal=seal_id, done=sorted(turn.keep.done))
        if turn.say is not None:
            self._tell(seal_id, turn.say)


def fresh_password() -> str:
    """A random one, in characters that every lock takes."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_CHARS))
