"""What may be set about the line to the collector.

Law: vocabulary only.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkSettings:
    """`uplink.*` of EDGE section 10, checked by config."""

    servers: int = 1  # how many addresses the list holds
    window_batches_max: int = 16
    backlog_bytes_s: int = 32_768
    messages_s: int = 40  # the collector allows 50
    hello_ms: int = 300_000
    message_bytes_max: int = 16_384
