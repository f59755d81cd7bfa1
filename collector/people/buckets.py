"""Token buckets by name: how often a thing may be done (EVIDENCE section 11, Limits).

Law: a bucket delays, it never locks out; who floods pays alone. What is kept is bounded, the bucket that was full longest goes first.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

KEYS_MAX = (
    10_000  # of one limit: 1 MiB; who comes with more addresses than that fills a full bucket anew
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` at once, then one each `every_ms`."""

    every_ms: int
    burst: int


LOGIN_ACCOUNT = Rate(every_ms=12_000, burst=5)  # 5 a minute
LOGIN_ADDRESS = Rate(every_ms=3_000, burst=20)  # 20 a minute
CODE_ACCOUNT = Rate(
    every_ms=12_000, burst=5
)  # of the second factor: a million codes, three are right
REQUESTS = Rate(every_ms=50, burst=60)  # 20 a second, of a session
STRANGERS = Rate(every_ms=50, burst=60)  # of an address that has no session
REFUSALS = Rate(every_ms=2_000, burst=30)  # of a session: each is kept, and none fills a disk
EXPORTS = Rate(every_ms=600_000, burst=6)  # 6 an hour, of a user
ENROL_POSTS = Rate(every_ms=6_000, burst=10)  # 10 a minute, of an address
ENROL_POLLS = Rate(every_ms=1_000, burst=60)


class Buckets:
    """The buckets of one rate, by key."""

    def __init__(self, rate: Rate, *, keys_max: int = KEYS_MAX) -> None:
        self._rate = rate
        self._keys_max = keys_max
        # By key: when the bucket will be full again. A bucket that is full needs no row.
        self._full_ms: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_ms)

    def draw(self, key: str, now_ms: int) -> int:
        """0 if it may be done now, and it is counted; else after how many milliseconds."""
        full_ms, wait_ms = self._look(key, now_ms)
        self._full_ms[key] = full_ms if wait_ms else full_ms + self._rate.every_ms
        self._full_ms.move_to_end(key)
        self._forget(now_ms)
        return wait_ms

    def wait_ms(self, key: str, now_ms: int) -> int:
        """After how many milliseconds it may be done; 0 now. Nothing is counted."""
        return self._look(key, now_ms)[1]

    def _look(self, key: str, now_ms: int) -> tuple[int, int]:
        every_ms, burst = self._rate.every_ms, self._rate.burst
        # A clock that stepped back delays nobody for longer than an empty bucket does.
        full_ms = min(max(self._full_ms.get(key, now_ms), now_ms), now_ms + every_ms * burst)
        return full_ms, max(0, full_ms - now_ms - every_ms * (burst - 1))

    def _forget(self, now_ms: int) -> None:
        while self._full_ms:
            key, full_ms = next(iter(self._full_ms.items()))
            if full_ms > now_ms and len(self._full_ms) <= self._keys_max:
                return
            del self._full_ms[key]


def crowd_of(address: str) -> str:
    """Who is counted as one: an IPv4 address; of IPv6 the first 64 bits, since one machine has all that come behind them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address  # a test's, or a socket's without any
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))


def seconds(wait_ms: int) -> int:
    """For Retry-After: whole, and never 0."""
    return max(1, -(-wait_ms // 1_000))
