"""The process stays small: 45 MiB are promised (EDGE section 13).

Law: hints to the C library only; where there is none of glibc's, nothing happens.
"""

import ctypes
import gc

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
