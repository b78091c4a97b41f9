"""Memory that networks have freed, kept for their next layer.

glibc gives every large block back to the system when it is freed, and the system fills the next one with zeros, page by
page, before a layer may write to it: for small networks on CPUs that is a third of the time. What is kept here counts
as the process's until ``give_back`` or its end. Elsewhere than with glibc nothing changes.
"""

import ctypes
import sys
from functools import lru_cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # parameters of mallopt(3)
STEP, LARGEST = 2**28, 2**31 - 1  # bytes that are asked for at once; and that stay (as much as an int holds)


FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _MallocInfo(ctypes.Structure):
    """``struct mallinfo2``."""

    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim", "mallinfo2")):
        return None
    library.mallinfo2.restype = _MallocInfo
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library


def keep_freed_memory() -> bool:
    """For the rest of the process; the program ``stereohg`` does so. Whether it could."""
    library = _glibc()
    if library is None:
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, STEP))
    return all(library.mallopt(parameter, value) for parameter, value in settings)


def kept_memory() -> int:
    """Bytes that were freed and are the process's still, at least: of a step, some may never have been used."""
    library = _glibc()
    return 0 if library is None else max(0, library.mallinfo2().fordblks - STEP)


def give_back() -> None:
    """What was freed, to the system."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)
