"""The machine that a run was taken on, as far as its figures depend on it; nothing that tells whose it is."""

import os
import platform
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

SYNCS: Final = 40


def machine(place: Path) -> dict[str, str | int | float]:
    """Processor, memory, kernel, Python, and the disk under the folder `place`."""
    processor = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)", processor, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1].strip() if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": " hypervisor" in processor,
        "memory_gib": round(memory / (1 << 30), 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": file_system(place),
        "sync_4k_ms": round(sync_milliseconds(place), 3),
        "python": platform.python_version(),
    }


def file_system(place: Path) -> str:
    """The type of the file system that a folder is on, such as ext4."""
    kinds = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, source = line.partition(" - ")
        kinds[Path(_plain(mounted.split()[4]))] = source.split()[0]  # a later mount hides an earlier one
    resolved = place.resolve()
    return next((kinds[each] for each in (resolved, *resolved.parents) if each in kinds), "unknown")


def sync_milliseconds(place: Path) -> float:
    """The median time of a 4 KiB write and its fdatasync: what a durable answer costs at the least."""
    taken = []
    with tempfile.TemporaryFile(dir=place) as file:
        for number in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(4096), number * 4096)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


def _plain(escaped: str) -> str:
    """A path as mountinfo writes it, with blanks as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
