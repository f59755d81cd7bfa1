"""One connection at a time: dialled, spoken over, thrown away (EDGE section 8).

Law: knows no batch and no receipt. What comes of a dial is delivered under its number, also when there was none to make.
"""

import secrets
from collections.abc import Callable

from agent import Moment, Quality
from agent.config import Config
from agent.io.mqtt import (
    DIALS_LEFT_MAX,
    Connection,
    Deliver,
    Heard,
    LineEvent,
    TlsFilesError,
    tls_context,
)
from agent.io.words import Tls
from wire.hello import State, encode_state
from wire.topics import Up, down_filter, up


class Dialler:
    """The connection in force, its tickets, and those whose threads may still hang."""

    def __init__(
        self,
        *,
        config: Config,
        tls: Tls,
        boot_no: int,
        moment: Callable[[], Moment],
        deliver: Deliver,
    ) -> None:
        self._config = config
        self._tls = tls
        self._boot_no = boot_no
        self._moment = moment
        self._deliver = deliver
        self._connection: Connection | None = None
        self._state_name = bytes(8)  # of this connection, in its `state` and its will
        self._tickets: dict[int, int] = {}  # by MQTT message id
        self._left: list[Connection] = []

    def dial(self, number: int, server_no: int) -> None:
        """Begin; the end of it is delivered."""
        self.hang_up()
        server = self._config.servers[server_no]
        self._left = [one for one in self._left if one.is_dialling]
        if len(self._left) >= DIALS_LEFT_MAX:
            self._fail(number, "two dials hang in a name look-up: is there a name server?")
            return
        try:
            context = tls_context(self._tls) if server.tls else None
        except TlsFilesError as error:
            self._fail(number, f"TLS files: {error}")
            return
        self._tickets.clear()
        self._state_name = secrets.token_bytes(8)
        self._connection = Connection(
            number=number,
            server=server,
            client_id=f"{self._config.unit_id}-{secrets.token_hex(4)}",
            keep_alive_s=self._config.keep_alive_s,
            in_flight_max=self._config.uplink.window_batches_max,
            will=(self._topic(Up.STATE), self._state_message(up=False)),
            context=context,
            dates_fault=self._dates_fault,
            deliver=self._deliver,
        )
        self._connection.dial()

    def greet(self, ticket: int) -> None:
        """Subscribe, then `state` up."""
        if self._connection is not None:
            self._connection.subscribe(down_filter(self._config.unit_id))
            self._publish(Up.STATE, self._state_message(up=True), ticket, retain=True)

    def say(self, what: Up, payload: bytes, ticket: int) -> None:
        """Publish; its PUBACK bears the ticket."""
        self._publish(what, payload, ticket, retain=False)

    def say_goodbye(self) -> None:
        """`state` down, while the connection still stands."""
        if self._connection is not None:
            self._publish(Up.STATE, self._state_message(up=False), None, retain=True)

    def ticket_of(self, message_id: int) -> int | None:
        """Whose PUBACK this is, once."""
        return self._tickets.pop(message_id, None)

    def hang_up(self) -> None:
        """Throw the connection away."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._left = [*(one for one in self._left if one.is_dialling), connection]
            connection.end()

    def _publish(self, what: Up, payload: bytes, ticket: int | None, *, retain: bool) -> None:
        if self._connection is None:
            return
        message_id = self._connection.publish(self._topic(what), payload, retain=retain)
        if message_id is not None and ticket is not None:
            self._tickets[message_id] = ticket

    def _fail(self, number: int, why: str) -> None:
        self._deliver(LineEvent(connection=number, heard=Heard.CLOSED, why=why))

    def _state_message(self, *, up: bool) -> bytes:
        words = State(
            up=up,
            boot_no=self._boot_no,
            connection=self._state_name,
            at_ms=self._moment().utc_ms,
        )
        return encode_state(words)

    def _topic(self, what: Up) -> str:
        return up(self._config.unit_id, what)

    def _dates_fault(self, not_before_ms: int, not_after_ms: int) -> str | None:
        """Our own look at a certificate's dates: OpenSSL would ask a clock that may be wrong (EDGE section 7)."""
        moment = self._moment()
        if moment.quality < Quality.NTP:
            expired = not_after_ms < self._config.timekeeper.built_ms
            return (
                "the broker's certificate had expired before clock.not_before" if expired else None
            )
        if moment.utc_ms < not_before_ms:
            return "the broker's certificate is not valid yet"
        return "the broker's certificate has expired" if moment.utc_ms > not_after_ms else None
