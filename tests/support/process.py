"""A real `ferryman serve` process on loopback, to be killed, stopped and started again on the same data."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT = 30.0  # seconds
IN_USE = "Address already in use"
_LISTENS = re.compile(r"listens on (http://\S+)")


class Server:
    """One server, possibly several processes after each other."""

    def __init__(
        self,
        data: Path,
        *flags: str,
        env: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "ferryman_cli"),
    ) -> None:
        """`prefix` is a command that runs the server; `program` is what Python runs as `ferryman`. Nothing is made in
        the background unless the flags say so: it would be made while other tests run."""
        self.data = data
        self.port = 0
        self.lines: list[str] = []  # everything the processes wrote to stderr (their logs)
        self._flags = flags
        self._env = {**os.environ, "FERRYMAN_PREVIEWS": "no", **(env or {})}
        self._prefix = prefix
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def files(self) -> str:
        """Where uploads are created."""
        return f"{self.url}/files/"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> "Server":
        """Start it (again, on the same port) and wait until it takes requests.

        A connection of another test may have been given that port at its own end meanwhile: it is waited for.
        """
        over = time.monotonic() + START_TIMEOUT
        while True:
            self.launch()
            try:
                return self.await_ready()
            except AssertionError as failed:
                if IN_USE not in str(failed) or not self.port or time.monotonic() > over:
                    raise
                time.sleep(0.2)

    def launch(self) -> None:
        """Start the process and wait for nothing."""
        command = [
            *self._prefix,
            *(sys.executable, *self._program, "serve", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--data", str(self.data), *self._flags),
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._env, cwd=self.data.parent
        )
        self._reader = threading.Thread(target=self._read_log, args=(self._process,), daemon=True)
        self._reader.start()

    def await_ready(self) -> "Server":
        """Wait until the process that was launched takes requests."""
        assert self._process is not None
        assert self._reader is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = _LISTENS.search(line)
        if found is None:
            self._process.wait(START_TIMEOUT)
            self._reader.join()
            self._process.stdout.close()
            raise AssertionError("the server did not start:\n" + line + "\n".join(self.lines[-30:]))
        self.port = int(found[1].rstrip("/").rpartition(":")[2])
        return self

    def kill(self) -> None:
        """kill -9: nothing is said goodbye to."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM: a graceful stop; returns the exit status."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start again after a kill or a stop."""
        self.start()

    def crash(self) -> None:
        """kill -9, and a start on the same data."""
        self.kill()
        self.restart()

    def close(self) -> None:
        """End whatever runs; tidy up after a process that has ended by itself."""
        if self.running:
            self.kill()
        elif self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def log(self) -> str:
        """The log so far."""
        return "\n".join(self.lines)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        process.send_signal(number)
        status = process.wait(30)
        if self._reader is not None:
            self._reader.join()
        process.stdout.close()
        return status

    def _read_log(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr as stream:
            for line in stream:
                self.lines.append(line.rstrip())


@contextmanager
def serving(data: Path, *flags: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server for the length of the `with`."""
    server = Server(data, *flags, env=env).start()
    try:
        yield server
    finally:
        server.close()


def eventually(check: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait until `check()` is true; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
