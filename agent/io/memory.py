"""The process stays small: 45 MiB are promised (EDGE section 13).

Law: hints to the C library only; where there is none of glibc's, nothing happens.
"""

import ctypes
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

MADV_DONTNEED = 4  # madvise(2)
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)", re.ASCII)
M_ARENA_MAX = -8  # mallopt(3): a heap for each of our threads would cost half a MiB


def one_heap() -> None:
    """Before the first thread: all of them share one heap."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, 1)


def give_back() -> None:
    """After the start: what the imports have left over goes back, and what stays is not looked at again."""
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    _drop_clean_pages(libc)


def _drop_clean_pages(libc: ctypes.CDLL) -> None:
    """Program text that only the start has needed goes back to the kernel; what is needed again comes from the file.

    A mapping is left alone if it may be written, or if a page of it was changed (relocations): that page would be lost.
    """
    for begin, end in clean_mappings(_smaps()):
        libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_DONTNEED)


def clean_mappings(smaps: str) -> list[tuple[int, int]]:
    """Begin and end of each mapping of a file that nobody may write and of which no page is our own (proc(5), smaps)."""
    found: list[tuple[int, int]] = []
    begin = end = 0
    candidate = False
    for line in smaps.splitlines():
        head = _HEAD.match(line)
        if head is not None:
            begin, end = int(head[1], 16), int(head[2], 16)
            candidate = "w" not in head[3] and "p" in head[3] and head[4].startswith("/")
        elif candidate and line.startswith("Anonymous:"):
            candidate = False
            if line.split()[1] == "0":
                found.append((begin, end))
    return found


def _smaps() -> str:
    try:
        return Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@contextmanager
def without_proxies() -> Iterator[None]:
    """While it lasts, whoever imports `urllib.request` gets an empty module.

    paho imports it to ask for proxies, which it can use only through PySocks, and segno by way of xml.sax, which would open addresses;
    with it come http.client, email and tempfile: 1.8 MiB. Where PySocks is installed, or the real module is loaded already, nothing is spared.
    """
    name = "urllib.request"
    if name in sys.modules or find_spec("socks") is not None:
        yield
        return
    sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]
