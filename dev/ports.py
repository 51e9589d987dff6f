"""Ports that nothing listens on, and that nothing else will be given by chance."""

import random
import socket
from pathlib import Path
from typing import Final

_LOWEST: Final = 10_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES: Final = 100


def free_ports(count: int) -> list[int]:
    """So many free TCP ports of 127.0.0.1, to be listened on soon, and again after a kill.

    They lie below those that the kernel hands out: otherwise the connection of anybody, even that of a client who tries
    to reach the dead server, could get this very port while the server is down.
    """
    found: set[int] = set()
    for _ in range(_TRIES * count):
        port = random.randrange(_LOWEST, _first_ephemeral())
        if is_free(port):
            found.add(port)
        if len(found) == count:
            return list(found)
    raise OSError("not enough free ports were found")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed connections do not count
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_ephemeral() -> int:
    try:
        return max(_LOWEST + 1, int(_EPHEMERAL.read_text().split()[0]))
    except OSError:
        return 32_768  # Linux' own choice; those of others lie higher
