"""The machine and the installation: descriptors, clock, boot id, SQLite, the packages of the extra."""

import re
import resource
import sqlite3
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from ferryman_server import descriptors
from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.state.boot import kernel_boot_id
from ferryman_server.state.sqlite_schema import OLDEST_SQLITE

TOO_FEW_FILES: Final = 64  # open at once: below this the server itself cannot work
EARLIEST: Final = 1_735_689_600.0  # seconds since the epoch: 2025-01-01; an earlier clock was never set
DISTRIBUTION: Final = "ferryman"


def check_machine(now: float | None = None) -> list[Finding]:
    """Everything about the machine."""
    return [
        judge_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1], may_raise=descriptors.may_raise()),
        judge_clock(time.time() if now is None else now),
        judge_boot_id(kernel_boot_id()),
        judge_sqlite(sqlite3.sqlite_version_info),
    ]


def judge_files(hard: int, *, may_raise: bool) -> Finding:
    """Whether enough files and sockets may be open at once. `serve` raises the soft limit to the hard one by itself,
    and the hard one too where it `may_raise` it."""
    limit, needed = descriptors.reachable(hard, may_raise=may_raise), descriptors.NEEDED
    uploads = descriptors.uploads_for(limit)
    text = f"a server may have {limit} files and sockets open here: enough for {uploads} uploads at once"
    if limit >= needed:
        return ok(text)
    judge = wrong if limit < TOO_FEW_FILES else note
    if may_raise:  # then only the kernel's own bound is in the way
        return judge(text, f"for {descriptors.UPLOADS} at once, set it higher: sysctl fs.nr_open={1 << 20}")
    return judge(
        f"{text}; more connections are told to come again",
        f"for {descriptors.UPLOADS} at once, raise the hard limit to {needed}: LimitNOFILE={needed} in the systemd "
        f"unit, docker run --ulimit nofile={needed}, or a line `* hard nofile {needed}` in /etc/security/limits.conf",
    )


def judge_clock(now: float) -> Finding:
    """Whether the clock can be right: expiry counts on it."""
    if now < EARLIEST:
        return wrong(
            f"the clock says {time.strftime('%Y-%m-%d', time.gmtime(now))}: uploads would expire at the wrong time",
            "set the clock, for instance with timedatectl set-ntp true",
        )
    return ok(f"the clock says {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC")


def judge_boot_id(boot_id: str | None) -> Finding:
    """Whether the server can tell a killed process from a reboot."""
    if boot_id is None:
        return note(
            "the kernel's boot id cannot be read: after a crash, clients send again what was not yet committed",
            "mount /proc where the server runs",
        )
    return ok("the kernel's boot id can be read: after a crash of the server, bytes that were received are kept")


def judge_sqlite(found: Sequence[int]) -> Finding:
    """Whether SQLite is new enough."""
    text = ".".join(map(str, found))
    if tuple(found) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE[:2]))
        return wrong(f"SQLite {text} is too old", f"use a Python that brings SQLite {oldest} or newer")
    return ok(f"SQLite {text}")


def check_extra(extra: str) -> list[Finding]:
    """Whether the packages of an extra are installed, in the versions that were tested."""
    try:
        needed = requirements(requires(DISTRIBUTION) or [], extra)
    except PackageNotFoundError:
        return [wrong("ferryman is not installed", "install it with pip, so that its packages come along")]
    missing, other = [], []
    for name, wanted in needed:
        try:
            found = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if wanted and found != wanted:
            other.append(f"{name} {found} instead of {wanted}")
    remedy = f"pip install {DISTRIBUTION}[{extra}]"
    findings = [wrong(f"packages are missing: {', '.join(missing)}", remedy)] if missing else []
    if other:
        findings.append(note(f"packages differ from the tested ones: {', '.join(other)}", remedy))
    return findings or [ok(f"the packages of ferryman[{extra}] are installed")]


def requirements(lines: Sequence[str], extra: str) -> list[tuple[str, str]]:
    """(name, pinned version or "") of an extra's requirements that hold on every system (PEP 508)."""
    found = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:==\s*([^\s,;]+))?", requirement)
        if match and re.fullmatch(rf"\s*extra\s*==\s*['\"]{re.escape(extra)}['\"]\s*", marker):
            found.append((match[1], match[2] or ""))
    return found
