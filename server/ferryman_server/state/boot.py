"""Which boot of the machine this is: after a killed process the page cache is still there, after a reboot it is not."""

from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def kernel_boot_id() -> str | None:
    """The kernel's boot id; None where there is none to read (then every start counts as a reboot)."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except OSError:
        return None
