"""Who stands behind a name that signs: an account, or the user of an operating system.

Law: where two people are asked for, one with two names is one.
"""

__all__ = ["person_of", "same_person"]

_OS, _FOR = "os:", " for "


def person_of(name: str) -> str:
    """`anna` of `anna` (an account), of `os:anna` and of `os:root for anna` (a command on the collector's own machine)."""
    if not name.startswith(_OS):
        return name
    return name.removeprefix(_OS).rpartition(_FOR)[2].strip().lower()


def same_person(one: str, other: str | None) -> bool:
    """Whether the second of two is the first again. In doubt he is: a namesake asks a third."""
    return other is not None and person_of(one) == person_of(other)
