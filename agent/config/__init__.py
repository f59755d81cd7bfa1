"""The unit's settings: read once, checked, frozen, handed on as values (EDGE section 10).

Law: every fault names its key and what would be right, and all of them are told at once. No room knows this one.
`tables` is what may stand in the file, `read` finds faults of form, `values` those between keys, `remote` is what may be said by
air, `pins` is whom the unit believes.
"""

from agent.config.pins import Pins, pins_text, read_pins
from agent.config.read import BadConfigError, ConfigError, read_text
from agent.config.remote import says_the_same, with_version
from agent.config.values import Config, Link, faults_in, of_text, read

__all__ = [
    "BadConfigError",
    "Config",
    "ConfigError",
    "Link",
    "Pins",
    "faults_in",
    "of_text",
    "pins_text",
    "read",
    "read_pins",
    "read_text",
    "says_the_same",
    "with_version",
]
