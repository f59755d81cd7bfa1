"""JT/T 808 frames made by the standard's own rules: header, body, XOR, escaping."""


def frame(message: int, body: bytes, *, serial: bytes = b"\0\x09", attributes: int = 0) -> bytes:
    """A frame by the standard: header, body, XOR, escaping; by its own hand."""
    version = b"\x01" if attributes & 0x4000 else b""
    terminal = bytes.fromhex("014000998877")
    terminal = terminal.rjust(10, b"\0") if version else terminal
    head = message.to_bytes(2, "big") + (attributes | len(body)).to_bytes(2, "big")
    content = head + version + terminal + serial + body
    check = 0
    for byte in content:
        check ^= byte
    said = b""
    for byte in [*content, check]:
        said += {0x7E: b"}\x02", 0x7D: b"}\x01"}.get(byte, bytes([byte]))
    return b"~" + said + b"~"


def place(*tlvs: bytes, status: int = 2, time: str = "261122181500") -> bytes:
    lat, lon = (41_311_081).to_bytes(4, "big"), (69_240_562).to_bytes(4, "big")
    head = bytes(4) + status.to_bytes(4, "big") + lat + lon
    return head + bytes.fromhex("01C70195005A" + time) + b"".join(tlvs)


def tlv(name: int, value: bytes) -> bytes:
    return bytes([name, len(value)]) + value


def batch(*bodies: bytes, kind: int = 1, count: int | None = None) -> bytes:
    """The body of a 0704: what a lock kept while it had no network."""
    number = len(bodies) if count is None else count
    parts = [len(body).to_bytes(2, "big") + body for body in bodies]
    return number.to_bytes(2, "big") + bytes([kind]) + b"".join(parts)
