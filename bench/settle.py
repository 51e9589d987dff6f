"""Between turns: what one server left to do is done before the next one's clock starts."""

import mmap
import os
import re
import time
from pathlib import Path
from typing import Final

MIB: Final = 1 << 20
QUIET_BELOW: Final = 32 * MIB  # bytes not yet on the disk that are too few to be in anyone's way
QUIET_WITHIN: Final = 10.0  # seconds; somebody else may write all the time


def settle_disk() -> None:
    """Write back what is dirty, and wait until little of it is left."""
    os.sync()
    deadline = time.monotonic() + QUIET_WITHIN
    while _meminfo("Dirty") + _meminfo("Writeback") > QUIET_BELOW and time.monotonic() < deadline:
        time.sleep(0.1)


def touch_memory(size: int) -> None:
    """Have the kernel hold so many bytes of memory ready, at most a third of what is available.

    A virtual machine hands pages that it has not used for a while back to its host, and pays many times the price for
    each when it needs it again: whoever comes first after a pause would seem slow.
    """
    size = min(size, _meminfo("MemAvailable") // 3)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=flags).close()


def _meminfo(name: str) -> int:
    found = re.search(rf"^{name}: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
