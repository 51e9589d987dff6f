"""A server as a process: started on a free port, watched through /proc, stopped for good."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.bucket import Bucket
from bench.errors import CannotMeasure
from bench.servers import Server
from ferryman_server.benching.stopping import stop

START_WITHIN: Final = 60.0  # seconds; a server with a million uploads may look at them first
STOP_WITHIN: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes connections."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time that it and its children used so far, in user and kernel mode."""
        return sum(cpu_seconds(pid) for pid in family(self.pid))

    def peak_megabytes(self) -> float:
        """The most memory it ever had resident at a time (1e6 bytes), its children's added."""
        return sum(_peak_kib(pid) for pid in family(self.pid)) * 1024 / 1e6


@contextmanager
def running(server: Server, data: Path, bucket: Bucket | None = None) -> Iterator[Running]:
    """The server over a folder, which exists, and over a bucket if there is one.

    Raises CannotMeasure when it does not start or ends by itself.
    """
    port = _free_port()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            _command(server, port, data, bucket),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            cwd=data.parent,  # no ferryman.toml of a developer's is read
            env=_environment(data, bucket),
        )
        try:
            _wait_for(port, process)
            yield Running(port, process.pid)
            if process.poll() is not None:
                raise CannotMeasure(f"it ended by itself, with exit code {process.returncode}")
        except CannotMeasure as error:
            told.seek(0)
            last = told.read()[-500:].decode(errors="replace").strip()
            raise CannotMeasure(f"{error}; it said: {last}" if last else str(error)) from error
        finally:
            stop(process, STOP_WITHIN)


def _command(server: Server, port: int, data: Path, bucket: Bucket | None) -> list[str]:
    if bucket is not None:
        assert server.into_bucket is not None
        return server.into_bucket(port, data, bucket)
    assert server.command is not None
    return server.command(port, data)


def _environment(data: Path, bucket: Bucket | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FERRYMAN_")}
    if bucket is not None:
        environment |= bucket.environment()
        environment["TMPDIR"] = str(data)  # tusd buffers parts in files: on the disk that is measured
    return environment


def busy_seconds() -> float:
    """CPU time that was spent on this machine since its start, by anybody."""
    fields = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _waiting, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / _TICKS


def family(pid: int) -> list[int]:
    """A process and its descendants that are alive."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(pid: int) -> float:
    """CPU time that a process used so far, in user and kernel mode, and its children that have ended."""
    fields = _stat(pid)
    return sum(int(value) for value in fields[11:15]) / _TICKS  # utime and stime, of reaped children too


def _peak_kib(pid: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotMeasure(f"it did not start (exit code {process.returncode})")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise CannotMeasure(f"it took no connection within {START_WITHIN:.0f} s")
