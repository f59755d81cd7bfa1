"""One connection to a broker: paho-mqtt with its traps designed out (EDGE section 8).

Law: a client object lives for one connection and is thrown away. Callbacks hand over what they heard and do nothing else.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from agent.io import memory
from agent.io.words import Server, Tls

with memory.without_proxies():
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv311
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

DIAL_S_MAX = 30.0  # TCP and TLS; the uplink ends the whole of it after 30 s
DIALS_LEFT_MAX = 2  # threads that hang in a name look-up; a third dial fails at once
LOOP_STOP_S_MAX = 2.0  # then the thread is left behind: it is a daemon
SPARE_MESSAGES = 12  # early copies, hellos and state beside the window
NO_CHECK_TIME = (
    0x200000  # X509_V_FLAG_NO_CHECK_TIME: OpenSSL would ask a clock that may believe in 1970
)
_CONNACK_CODES = {
    132: 1,
    133: 2,
    136: 3,
    134: 4,
    135: 5,
}  # paho's reason codes back to MQTT 3.1.1, 3.2.2.3


class Heard(Enum):
    """What a connection says."""

    UP = "up"
    REFUSED = "refused"
    SUBSCRIBED = "subscribed"
    ACKED = "acked"
    MESSAGE = "message"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEvent:
    """One thing heard on the connection with this number."""

    connection: int
    heard: Heard
    code: int = 0  # REFUSED: CONNACK's
    message_id: int = 0  # ACKED
    topic: str = ""
    payload: bytes = b""
    why: str = ""  # CLOSED


Deliver = Callable[[LineEvent], None]  # from any thread
DatesFault = Callable[[int, int], str | None]  # (not_before_ms, not_after_ms) of a certificate


class TlsFilesError(Exception):
    """The CA, the certificate or its key cannot be used."""


def tls_context(tls: Tls) -> ssl.SSLContext:
    """A context that trusts our CA only, wants TLS 1.2 at least and leaves dates to us. TlsFilesError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= NO_CHECK_TIME
    try:
        context.load_verify_locations(tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise TlsFilesError(f"{tls.ca_file.parent}: {error}") from error
    return context


def certificate_dates_ms(certificate: dict[str, Any]) -> tuple[int, int]:
    """Both dates, notBefore and notAfter, of what `getpeercert` gave."""
    return (
        int(ssl.cert_time_to_seconds(certificate["notBefore"])) * 1000,
        int(ssl.cert_time_to_seconds(certificate["notAfter"])) * 1000,
    )


class Connection:
    """One client, one connection, one number. Nothing of it outlives `end`."""

    def __init__(
        self,
        *,
        number: int,
        server: Server,
        client_id: str,
        keep_alive_s: int,
        in_flight_max: int,
        will: tuple[str, bytes] | None,
        context: ssl.SSLContext | None,
        dates_fault: DatesFault,
        deliver: Deliver,
    ) -> None:
        self.number = number
        self._server = server
        self._keep_alive_s = keep_alive_s
        self._dates_fault = dates_fault
        self._deliver = deliver
        self._ended = threading.Event()
        self._closed_once = threading.Event()
        self._dialler: threading.Thread | None = None
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTv311,
            reconnect_on_failure=False,
        )
        client.suppress_exceptions = True
        client.connect_timeout = DIAL_S_MAX
        client.max_inflight_messages_set(in_flight_max + SPARE_MESSAGES)
        client.max_queued_messages_set(in_flight_max + SPARE_MESSAGES)
        if will is not None:
            client.will_set(will[0], will[1], qos=1, retain=True)
        if context is not None:
            client.tls_set_context(context)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._client = client

    def dial(self) -> None:
        """Name, TCP, TLS and CONNECT, in a thread of their own; what comes of it is delivered."""
        self._dialler = threading.Thread(
            target=self._dial, name=f"dial[{self.number}]", daemon=True
        )
        self._dialler.start()

    @property
    def is_dialling(self) -> bool:
        return self._dialler is not None and self._dialler.is_alive()

    def subscribe(self, topic_filter: str) -> None:
        """With QoS 0: whatever is lost on the way down is asked for again by a hello."""
        code, _ = self._client.subscribe(topic_filter, qos=0)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._closed(f"SUBSCRIBE: {code.name}")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """With QoS 1; the id that its ACKED will bear. None: the connection is at its end."""
        if self._ended.is_set() or not self._client.is_connected():
            self._closed("not connected")
            return None
        self._acknowledge_later()
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._closed(
                f"PUBLISH: {MQTTErrorCode(info.rc).name}"
            )  # paho has queued it all the same
            return None
        return info.mid

    def _acknowledge_later(self) -> None:
        """PUBACK and receipt come within a few hundredths of a second: one acknowledgement of TCP does for both (decision 0096).

        After a pause the kernel would answer each at once. It forgets this wish by itself, so it is said each time.
        """
        found = self._client.socket()
        if isinstance(found, socket.socket):
            with suppress(OSError):  # of a connection that is just ending
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def end(self) -> threading.Thread:
        """DISCONNECT and forget; join the answer if the goodbye matters, 2 s at most."""
        self._ended.set()
        thread = threading.Thread(target=self._end, name=f"hang-up[{self.number}]", daemon=True)
        thread.start()
        return thread

    # in threads of our own

    def _dial(self) -> None:
        try:
            self._client.connect(self._server.host, self._server.port, self._keep_alive_s)
            fault = self._fault_of_certificate()
        except (OSError, ValueError) as error:
            self._closed(_why(error))
            return
        if fault is not None:
            self._closed(fault)  # first: paho calls the end that we make a normal one
            self._client.disconnect()
        elif not self._ended.is_set():
            self._client.loop_start()

    def _fault_of_certificate(self) -> str | None:
        found = self._client.socket()
        if not isinstance(found, ssl.SSLSocket):
            return None
        certificate = found.getpeercert()
        if not certificate:
            return "the broker showed no certificate"
        return self._dates_fault(*certificate_dates_ms(certificate))

    def _end(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    # in paho's thread

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell(Heard.REFUSED, code=_CONNACK_CODES.get(reason.value, reason.value))
        else:
            self._tell(Heard.UP)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        _message_id: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._closed("SUBACK refuses our topics: the broker's rights for this unit are wrong")
        else:
            self._tell(Heard.SUBSCRIBED)

    def _on_publish(
        self,
        _client: Client,
        _userdata: object,
        message_id: int,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._tell(Heard.ACKED, message_id=message_id)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._tell(Heard.MESSAGE, topic=message.topic, payload=bytes(message.payload))

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._closed(str(reason))

    def _closed(self, why: str) -> None:
        """Told once: paho reports some ends twice, and the first reason is the true one."""
        if not self._closed_once.is_set():
            self._closed_once.set()
            self._tell(Heard.CLOSED, why=why)

    def _tell(
        self,
        heard: Heard,
        *,
        code: int = 0,
        message_id: int = 0,
        topic: str = "",
        payload: bytes = b"",
        why: str = "",
    ) -> None:
        if self._ended.is_set():
            return
        self._deliver(
            LineEvent(
                connection=self.number,
                heard=heard,
                code=code,
                message_id=message_id,
                topic=topic,
                payload=payload,
                why=why,
            )
        )


def _why(error: OSError | ValueError) -> str:
    """What a person can act on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in 30 s: is the address right, is there a network?"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there: is the broker running, is the port right?"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
