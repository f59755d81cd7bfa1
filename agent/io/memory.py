"""The process stays small: 45 MiB are promised (EDGE section 13).

Law: hints to the C library only; where there is none of glibc's, nothing happens.
"""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

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


@contextmanager
def without_proxies() -> Iterator[None]:
    """While it lasts, whoever imports `urllib.request` gets an empty module.

    paho imports it to ask for proxies, which it can use only through PySocks; with it come http.client, email and tempfile:
    1.8 MiB. Where PySocks is installed, or the real module is loaded already, nothing is spared.
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
