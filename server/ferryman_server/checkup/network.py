"""The address to listen on: does it exist here, may it be used, and if it is taken, by whom."""

import errno
import os
import socket
from pathlib import Path
from typing import Final

from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.settings import Settings

LISTENING: Final = "0A"  # the state's number in /proc/net/tcp


def check_address(settings: Settings, server: int | None) -> list[Finding]:
    """Try to listen for an instant. `server`: the process id of the server that uses the data folder, if one does."""
    host, port = settings.host, settings.port
    where = f"{host} port {port}"
    findings = []
    try:
        _bind(host, port)
        findings.append(ok(f"{where} is free"))
    except socket.gaierror as error:
        findings.append(wrong(f"the host {host} is not known: {error.strerror}", "give an address of this machine"))
    except OSError as error:
        findings.append(_taken(where, port, server) if error.errno == errno.EADDRINUSE else _refused(where, error))
    if not settings.proxy_headers and host not in ("127.0.0.1", "::1", "localhost"):
        findings.append(
            note(
                f"{host} can be reached from other machines, and everyone who reaches it may upload",
                "put a proxy with TLS and a login in front, or listen on 127.0.0.1",
            )
        )
    return findings


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as serve does: old connections do not count
        probe.bind(address)


def _taken(where: str, port: int, server: int | None) -> Finding:
    owner = owner_of(port)
    if owner is not None and owner[0] == server:
        return ok(f"the running server (process {server}) listens on {where}")
    who = f"process {owner[0]} ({owner[1]})" if owner is not None else "another program"
    return wrong(f"{who} listens on {where} already", "stop it, or choose another port with --port")


def _refused(where: str, error: OSError) -> Finding:
    if error.errno == errno.EACCES:
        return wrong(f"this user may not listen on {where}", "choose a port above 1023 with --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return wrong(f"{where} is no address of this machine", "give one that `ip address` shows, or 127.0.0.1")
    return wrong(f"{where} cannot be used: {error.strerror}", "choose another address with --host and --port")


def owner_of(port: int) -> tuple[int, str] | None:
    """(process id, name) of who listens on the port, where `/proc` tells this user."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        inodes |= listeners(lines, port)
    return _holder(inodes) if inodes else None


def listeners(lines: list[str], port: int) -> set[str]:
    """The socket inodes that listen on the port, by the lines of `/proc/net/tcp` without its heading (proc(5))."""
    rows = [line.split() for line in lines]
    return {row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port}


def _holder(inodes: set[str]) -> tuple[int, str] | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) in wanted for link in (process / "fd").iterdir()):
                return int(process.name), (process / "comm").read_text().strip()
        except OSError:  # another user's process, or one that ended meanwhile
            continue
    return None
