"""How many files and sockets this process may have open at once, and what that suffices for.

The kernel counts both against one limit (getrlimit(2), RLIMIT_NOFILE). Its soft half is what holds and is set far too
low almost everywhere, for the sake of programs that use select(2); a process may raise it to the hard half by itself,
and the hard half only with the right to (capabilities(7), CAP_SYS_RESOURCE).

The limit is not used to its end: the last descriptors stay free for the house, so that transfers under way never meet
"too many open files". As the kernel hands out the lowest free number, a new connection's own number tells how many are
in use at least (:mod:`ferryman_server.crowding`). It does not tell how many files those connections are about to open:
one each, until they are so many that slow uploads close theirs between two writes.
"""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

UPLOADS: Final = 10_000  # at once, that a server is to take
PER_UPLOAD: Final = 2  # descriptors: a socket and a file
FILES: Final = 4096  # that may be open at once, however many uploads there are
HOUSE: Final = 512  # descriptors: database, event loop, folders being synced, connections that are being refused
NEEDED: Final = UPLOADS * PER_UPLOAD + HOUSE

_MOST: Final = Path("/proc/sys/fs/nr_open")  # what the kernel lets any limit be (proc(5))
_STATUS: Final = Path("/proc/self/status")
_CAP_SYS_RESOURCE: Final = 1 << 24  # linux/capability.h


class Room(NamedTuple):
    """When a new connection is one too many: by how many are open, or by its own descriptor's number."""

    connections: int  # beyond so many, a request is answered 503,
    polite: int  # as it is on a descriptor from this number on
    strict: int  # from this number on, it is closed at once


def raise_limit(wanted: int = NEEDED) -> tuple[int, int]:
    """Raise this process's soft limit to the hard one, and the hard one to `wanted` where that is allowed.

    Returns the soft limit before and after.
    """
    before, hard = map(_finite, resource.getrlimit(resource.RLIMIT_NOFILE))
    for limit in (reachable(hard, may_raise=True, wanted=wanted), hard):
        if limit > before:
            with suppress(OSError, ValueError):  # the hard limit is not ours to raise
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
                return before, limit
    return before, before


def reachable(hard: int, *, may_raise: bool, wanted: int = NEEDED) -> int:
    """The limit that a server comes to from this hard limit."""
    return max(_finite(hard), min(wanted, _most())) if may_raise else _finite(hard)


def may_raise() -> bool:
    """Whether this process may raise its hard limit."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return os.geteuid() == 0
    effective = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) & _CAP_SYS_RESOURCE)


def uploads_for(limit: int) -> int:
    """How many uploads at once a limit suffices for."""
    return max(0, limit - _house(limit)) // PER_UPLOAD


def room_for(limit: int) -> Room:
    """Where a server with this limit begins to refuse connections."""
    house = _house(limit)
    ours = limit - house
    return Room(connections=max(ours // PER_UPLOAD, ours - FILES), polite=ours, strict=limit - house // 2)


def _house(limit: int) -> int:
    return min(HOUSE, limit // 2)


def _finite(limit: int) -> int:
    return _most() if limit == resource.RLIM_INFINITY else limit


def _most() -> int:
    try:
        return int(_MOST.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not Linux: what can be had, trying tells
        return NEEDED
