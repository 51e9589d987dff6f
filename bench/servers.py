"""The servers that are measured: ours, and tusd when one is on the PATH."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Target


@dataclass(frozen=True, slots=True)
class Server:
    """A server by name, and the command that starts it on a port over a folder."""

    name: str
    path: str
    command: Callable[[int, Path], list[str]]


def _ferryman(durability: str) -> Server:
    def command(port: int, data: Path) -> list[str]:
        flags = ["--port", str(port), "--data", str(data), "--durability", durability, "--log-level", "error"]
        return [sys.executable, "-m", "ferryman_cli", "serve", *flags]

    return Server(f"ferryman, {durability}", "/files/", command)


def _tusd(binary: str) -> Server:
    def command(port: int, data: Path) -> list[str]:
        return [binary, "-host", "127.0.0.1", "-port", str(port), "-upload-dir", str(data)]

    return Server("tusd", "/files/", command)


def present() -> tuple[list[Server], list[str]]:
    """The servers that can be started here, and the names of those that cannot."""
    servers, missing = [_ferryman("disk"), _ferryman("os")], []
    tusd = shutil.which("tusd")
    if tusd is None:
        missing.append("tusd (no such program on the PATH)")
    else:
        servers.append(_tusd(tusd))
    return servers, missing


@contextmanager
def started(server: Server, data: Path) -> Iterator[tuple[Target, int]]:
    """The server running on a free port; its process id is told so that its memory can be read."""
    data.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(server.command(port, data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Target(port, server.path), process.pid
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
