"""The LLRP child: a process of its own that prints one JSON line for each tag report, keepalive and fault (DEVICES section 6).

Law: the only file that imports sllurp, which is under the GPL and an optional extra (`pip install plomba[llrp]`); nothing imports this
file. It never reconnects: its parent ends it and starts it again.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

KEEPALIVE_MS = 30_000
REPORT_MS, REPORT_TAGS = 500, 64  # a tag that hangs still is told twice a second
NOT_INSTALLED, FAILED = 2, 1
TAG_FIELDS = ("PeakRSSI", "AntennaID", "TagSeenCount", "LastSeenTimestampUTC")
_saying = threading.Lock()


def main() -> int:
    """Until the connection ends, our parent does, or somebody ends us."""
    arguments = _arguments()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        from sllurp.llrp import (  # noqa: PLC0415  # optional, and its absence is a word of ours
            LLRPReaderClient,
            LLRPReaderConfig,
            LLRPReaderState,
        )
    except ImportError as error:
        say({"fault": f"{error}: pip install plomba[llrp]"})
        return NOT_INSTALLED
    reader = LLRPReaderClient(
        arguments.host, arguments.port, LLRPReaderConfig(settings_of(arguments))
    )
    reader.add_tag_report_callback(lambda _reader, tags: tell(tags))
    reader.add_message_callback("KEEPALIVE", lambda _reader, _message: say({"alive": True}))
    reader.add_state_callback(
        LLRPReaderState.STATE_INVENTORYING, lambda _reader, _state: say({"alive": True})
    )
    try:
        reader.connect()
        reader.join(None)
    except Exception as error:  # noqa: BLE001  # whatever it is, our parent shall hear of it
        say({"fault": f"{type(error).__name__}: {error}"})
        return FAILED
    say({"fault": "the connection has ended"})
    return FAILED


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What sllurp is told (DEVICES section 6)."""
    settings: dict[str, Any] = {
        "antennas": arguments.antennas,
        "keepalive_interval": KEEPALIVE_MS,
        "reconnect": False,
        "report_every_n_tags": REPORT_TAGS,
        "report_timeout_ms": REPORT_MS,
        "tag_content_selector": {
            "EnableROSpecID": False,
            "EnableSpecIndex": False,
            "EnableInventoryParameterSpecID": False,
            "EnableAntennaID": True,
            "EnableChannelIndex": False,
            "EnablePeakRSSI": True,
            "EnableFirstSeenTimestamp": False,
            "EnableLastSeenTimestamp": True,
            "EnableTagSeenCount": True,
            "EnableAccessSpecID": False,
        },
    }
    if arguments.power_cdbm is not None:
        settings["tx_power_dbm"] = arguments.power_cdbm / 100
    return settings


def tell(tags: Iterable[Mapping[str, Any]]) -> None:
    """One line a tag."""
    for tag in tags:
        epc = tag.get("EPC", b"")
        line = {"EPC": epc.decode("ascii") if isinstance(epc, bytes) else str(epc)}
        say(line | {name: tag[name] for name in TAG_FIELDS if name in tag})


def say(line: Mapping[str, Any]) -> None:
    """Sllurp's threads and ours say whole lines."""
    with _saying:
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def _end_with_parent() -> None:
    while os.read(0, 4_096):
        pass
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llrp_child", description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument(
        "--antennas", type=lambda text: [int(one) for one in text.split(",")], default=[1]
    )
    parser.add_argument("--power-cdbm", type=int, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
