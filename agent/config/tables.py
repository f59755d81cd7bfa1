"""The settings of a unit as they stand in its file: names, types, bounds, defaults (EDGE section 10).

Law: vocabulary only. A bound's words are the hint that a person reads; `read` makes errors of them, `values` the rooms' own settings.
"""

from typing import Annotated

from msgspec import Meta, Struct

from agent.recorder.settings import Profile


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the file."""


def _text(says: str, pattern: str, length_max: int) -> Meta:
    return Meta(pattern=pattern, max_length=length_max, description=says)


UnitId = Annotated[
    str,
    _text(
        "3 to 32 of a-z, 0-9 and -, first and last no -",
        r"^[a-z0-9](?:[a-z0-9-]{1,30})[a-z0-9]$",
        32,
    ),
]
Folder = Annotated[str, _text("an absolute path", r"^/", 255)]
File = Folder
Device = Annotated[str, _text("an absolute path, best one of /dev/serial/by-id/", r"^/", 255)]
Day = Annotated[str, _text("a day as 2026-01-31", r"^\d{4}-\d{2}-\d{2}$", 10)]


class UnitTable(Table, frozen=True, kw_only=True):
    id: UnitId
    state_dir: Folder = "/var/lib/plomba"
    run_dir: Folder = "/run/plomba"


class LinkTable(Table, frozen=True, kw_only=True):
    """A serial port has a device, a foreign program (gpsd, llrp) an address."""

    protocol: Annotated[str, Meta(description="nmea, gpsd, jt701, eseal, jt808, m100 or llrp")]
    role: Annotated[str, Meta(description="gps, seal or rfid")]
    device: Device | None = None
    address: (
        Annotated[str, Meta(min_length=1, max_length=255, description="HOST[:PORT]")] | None
    ) = None
    baud: int | str | None = None
    seal_id: (
        Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 characters")] | None
    ) = None
    utc_offset_min: (
        Annotated[int, Meta(ge=-840, le=840, description="-840 to 840 minutes")] | None
    ) = None
    region: Annotated[str, Meta(description="china_900, us, europe, china_800 or korea")] | None = (
        None
    )
    power_cdbm: (
        Annotated[int, Meta(ge=0, le=3_300, description="0 to 3300, in hundredths of a dBm")] | None
    ) = None
    antennas: (
        Annotated[
            tuple[Annotated[int, Meta(ge=0, le=255)], ...],
            Meta(min_length=1, max_length=16, description="1 to 16 numbers of antennas"),
        ]
        | None
    ) = None


class SealTable(Table, frozen=True, kw_only=True):
    secret_file: File | None = None
    first_contact: bool = False


Seconds = Annotated[int, Meta(ge=1, le=3600, description="1 to 3600 seconds")]
Metres = Annotated[int, Meta(ge=1, le=10_000, description="1 to 10000 metres")]
Degrees = Annotated[int, Meta(ge=1, le=180, description="1 to 180 degrees")]
Speed = Annotated[int, Meta(ge=1, le=50, description="1 to 50 m/s")]


class ProfileTable(Table, frozen=True, kw_only=True):
    """What is not said stays as EDGE section 2 has it; 0 cannot be said: it would keep everything or nothing."""

    time_s: Seconds | None = None
    line_m: Metres | None = None
    distance_m: Metres | None = None
    turn_deg: Degrees | None = None
    speed_m_s: Speed | None = None
    ahead_m: Metres | None = None


class RecorderTable(Table, frozen=True, kw_only=True):
    sealed_moving: ProfileTable = ProfileTable()
    sealed_standing: ProfileTable = ProfileTable()
    open_moving: ProfileTable = ProfileTable()
    open_standing: ProfileTable = ProfileTable()
    pressed_1: ProfileTable = ProfileTable()
    pressed_1_standing: ProfileTable = ProfileTable()
    pressed_2: ProfileTable = ProfileTable()
    pressed_2_standing: ProfileTable = ProfileTable()
    pressed_3: ProfileTable = ProfileTable()


class SealerTable(Table, frozen=True, kw_only=True):
    records_min: Annotated[int, Meta(ge=1, le=300, description="1 to 300 records")] = 15
    age_live_s: Seconds = 30
    age_standing_s: Seconds = 120
    age_offline_s: Seconds = 60
    age_open_s: Seconds = 300
    batch_bytes_max: Annotated[
        int, Meta(ge=1_024, le=32_768, description="1024 to 32768 bytes")
    ] = 12_288


class OutboxTable(Table, frozen=True, kw_only=True):
    bytes_max: Annotated[
        int, Meta(ge=1_048_576, le=68_719_476_736, description="1 MiB to 64 GiB, in bytes")
    ] = 67_108_864
    headroom_bytes: Annotated[
        int, Meta(ge=0, le=68_719_476_736, description="0 to 64 GiB, in bytes")
    ] = 33_554_432
    spare_bytes: Annotated[
        int, Meta(ge=0, le=1_073_741_824, description="0 to 1 GiB, in bytes")
    ] = 4_194_304
    delete_after: Annotated[
        str, Meta(pattern="^(receipt|proof)$", description="receipt or proof")
    ] = "receipt"


class UplinkTable(Table, frozen=True, kw_only=True):
    servers: Annotated[
        tuple[str, ...], Meta(min_length=1, max_length=8, description="1 to 8 addresses")
    ]
    window_batches_max: Annotated[int, Meta(ge=1, le=64, description="1 to 64")] = 16
    backlog_bytes_s: Annotated[
        int, Meta(ge=4_096, le=10_485_760, description="4096 to 10485760 bytes a second")
    ] = 32_768
    messages_s: Annotated[
        int,
        Meta(ge=1, le=50, description="1 to 50 messages a second: the collector allows no more"),
    ] = 40
    hello_s: Annotated[int, Meta(ge=60, le=900, description="60 to 900 seconds")] = 300
    message_bytes_max: Annotated[
        int, Meta(ge=2_048, le=32_854, description="2048 to 32854 bytes")
    ] = 16_384
    keep_alive_s: Annotated[int, Meta(ge=30, le=300, description="30 to 300 seconds")] = 60
    metered: bool = False


class StatusTable(Table, frozen=True, kw_only=True):
    """The unit's own page."""

    listen: Annotated[
        str, _text("an address and a port as 127.0.0.1:8470, or nothing", r"^(\S+:\d{1,5})?$", 64)
    ] = "127.0.0.1:8470"
    host: Annotated[
        str,
        _text(
            "a name under which the page is asked for, or nothing",
            r"^([A-Za-z0-9][A-Za-z0-9.-]*)?$",
            253,
        ),
    ] = ""
    accept_orders: bool = False


class ClockTable(Table, frozen=True, kw_only=True):
    not_before: Day = "2026-01-01"
    chrony_sock: File | None = None


class ConfigTable(Table, frozen=True, kw_only=True):
    unit: UnitTable
    links: dict[str, LinkTable] = {}
    seals: dict[str, SealTable] = {}
    recorder: RecorderTable = RecorderTable()
    sealer: SealerTable = SealerTable()
    outbox: OutboxTable = OutboxTable()
    uplink: UplinkTable
    status: StatusTable = StatusTable()
    clock: ClockTable = ClockTable()


def over(table: ProfileTable, profile: Profile) -> Profile:
    """`profile` with what the file says instead."""
    return Profile(
        time_s=profile.time_s if table.time_s is None else table.time_s,
        line_m=profile.line_m if table.line_m is None else table.line_m,
        distance_m=profile.distance_m if table.distance_m is None else table.distance_m,
        turn_deg=profile.turn_deg if table.turn_deg is None else table.turn_deg,
        speed_m_s=profile.speed_m_s if table.speed_m_s is None else table.speed_m_s,
        ahead_m=profile.ahead_m if table.ahead_m is None else table.ahead_m,
    )
