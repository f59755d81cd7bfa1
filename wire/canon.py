"""One spelling per value: the subset of MessagePack that WIRE section 3 allows.

Law: decode(encode(x)) == x, and bytes that would be encoded in another way are refused.
"""

from dataclasses import dataclass

import msgpack

from wire import MisuseError, Reason, Refused

Value = None | int | str | bytes | list["Value"]
Encodable = None | int | str | bytes | list["Encodable"] | tuple["Encodable", ...]

NESTING_MAX = 8  # WIRE section 3; our deepest value, an event inside a body, needs 5
VALUE_BYTES_MAX = 65_536  # the longest thing ever decoded is a body: raw_len of WIRE section 4
# msgpack makes room for an array when it reads its length, 1,024 levels deep at most: 8 x 512 x 1,024 bytes, 4 MiB, is the
# most that a bomb of nested arrays can ask of us. Our longest array besides the columns has 256 elements.
ARRAY_LEN_MAX = 512

_FAULTS = (ValueError, msgpack.UnpackException, RecursionError)
_SCALARS = frozenset({int, str, bytes, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A value of the subset; `canonical` is False if its bytes were not in the one spelling."""

    value: Value
    canonical: bool


def encode(value: Encodable) -> bytes:
    """The one spelling of `value`: nil, integers, str, bin and arrays; a tuple is an array.

    Raises MisuseError for a float, bool, map, an integer beyond 64 bits, or a string that is no UTF-8.
    """
    fault = _fault(value, NESTING_MAX, (list, tuple))
    if fault is not None:
        raise MisuseError(f"cannot be spelt: {fault}")
    try:
        packed: bytes = msgpack.packb(value, use_bin_type=True)
    except (OverflowError, ValueError) as error:
        raise MisuseError(f"cannot be spelt: {error}") from error
    return packed


def parse(data: bytes) -> Parsed | Refused:
    """The value of `data` and whether it is spelt as it must be; BAD_PAYLOAD if it is none of the subset."""
    if len(data) > VALUE_BYTES_MAX:
        return _bad(f"{len(data)} bytes, at most {VALUE_BYTES_MAX}")
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            use_list=True,
            max_map_len=0,
            max_ext_len=0,
            max_array_len=ARRAY_LEN_MAX,
        )
    except _FAULTS as error:
        return _bad(f"no MessagePack of ours: {error}"[:200])
    fault = _fault(value, NESTING_MAX, (list,))
    if fault is not None:
        return _bad(fault)
    return Parsed(value=value, canonical=msgpack.packb(value, use_bin_type=True) == data)


def decode(data: bytes) -> Value | Refused:
    """The value that `data` spells, or why it does not: BAD_PAYLOAD (no such value) or NOT_CANONICAL.

    The law of WIRE section 3: decode, see that only the allowed types occur, encode again, compare.
    """
    parsed = parse(data)
    if isinstance(parsed, Refused):
        return parsed
    if not parsed.canonical:
        return Refused(reason=Reason.NOT_CANONICAL, detail="a value is not in its shortest form")
    return parsed.value


def is_one_object(data: bytes) -> bool:
    """True if `data` is one MessagePack object of any kind and size; walks it without making it."""
    unpacker = msgpack.Unpacker(max_buffer_size=VALUE_BYTES_MAX)
    try:
        unpacker.feed(data)
        unpacker.skip()
    except _FAULTS:
        return False
    end: int = unpacker.tell()
    return end == len(data)


def _fault(value: object, depth_left: int, arrays: tuple[type, ...]) -> str | None:
    """Why `value` is outside the subset, or None. `type(...) is` keeps True and False out."""
    if type(value) in _SCALARS:
        return None
    if type(value) not in arrays:
        # IntEnum and its like are spelt as the integers that they are.
        return None if isinstance(value, int) and type(value) is not bool else _no(value)
    if depth_left == 0:
        return f"nested deeper than {NESTING_MAX}"
    assert isinstance(value, list | tuple)
    if _SCALARS.issuperset(map(type, value)):  # hundreds of integers in one pass
        return None
    for element in value:
        fault = _fault(element, depth_left - 1, arrays)
        if fault is not None:
            return fault
    return None


def _no(value: object) -> str:
    return f"a {type(value).__name__} does not occur in this format"


def _bad(detail: str) -> Refused:
    return Refused(reason=Reason.BAD_PAYLOAD, detail=detail)
