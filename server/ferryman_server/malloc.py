"""glibc's malloc, told to keep what a server that receives bodies frees and takes again all the time.

A piece of a body is hundreds of KiB. With glibc's own thresholds such a block is mapped afresh for every piece, or the
heap is cut back as soon as it is freed: the kernel then zeroes the same pages again and again, which costs a Python
server more than everything else it does with the bytes. Both thresholds are raised once, at start-up.
"""

import ctypes
import platform
from typing import Final

_M_TRIM_THRESHOLD: Final = -1  # malloc.h: free memory at the heap's top, in bytes, that is given back to the kernel
_M_MMAP_THRESHOLD: Final = -3  # malloc.h: blocks from this size, in bytes, are mapped on their own
_TRIM: Final = 64 << 20
_MMAP: Final = 16 << 20


def tune_malloc() -> bool:
    """Raise both thresholds for this process; True when that was done, False where the C library is not glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_TRIM_THRESHOLD, _TRIM) and libc.mallopt(_M_MMAP_THRESHOLD, _MMAP))
