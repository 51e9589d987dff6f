"""What the kernel holds for a connection: bytes that one process has handed over and the other has not read."""

from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/net/tcp")
_LOOPBACK: Final = "0100007F"


def held(server: int, clients: set[int]) -> dict[int, int]:
    """Bytes on their way from each client's port to the server's port: unacknowledged, and acknowledged but unread."""
    found = dict.fromkeys(clients, 0)
    for line in _TABLE.read_text().splitlines()[1:]:
        columns = line.split()
        (local, remote), (unsent, unread) = (_port(part) for part in columns[1:3]), columns[4].split(":")
        if remote == server and local in found:
            found[local] += int(unsent, 16)
        elif local == server and remote in found:
            found[remote] += int(unread, 16)
    return found


def connected_to(port: int) -> set[str]:
    """The connections to this port, as they are named among a process's descriptors."""
    lines = (line.split() for line in _TABLE.read_text().splitlines()[1:])
    return {f"socket:[{columns[9]}]" for columns in lines if _port(columns[2]) == port}


def _port(address: str) -> int:
    host, port = address.split(":")
    return int(port, 16) if host == _LOOPBACK else -1
