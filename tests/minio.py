"""A real MinIO server on loopback, to be killed, stopped and started again on the same data."""

import functools
import http.client
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from minio import Minio as Client

from dev.leash import Leash
from dev.ports import free_ports

SCRIPT: Final = Path(__file__).parent.parent / "scripts/minio"
START_TIMEOUT: Final = 30.0  # seconds; it takes 0.4
STOP_TIMEOUT: Final = 30.0

# Not …/ready: that one answers 200 before requests are served.
HEALTH: Final = "/minio/health/cluster"


@functools.cache
def program() -> Path:
    """The server's program; built first, which takes minutes, when the cache has none. Raises RuntimeError."""
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return Path(done.stdout.strip())


class Minio:
    """One server, possibly several processes after each other; as a context manager it is started and ended.

    Root user and password are random. `environment` is added to the processes', whose own MINIO_* settings are not
    handed on.
    """

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        """`folder` exists and is for this server alone: its data, and the log."""
        self.access_key = f"user-{secrets.token_hex(4)}"
        self.secret_key = secrets.token_hex(16)
        self._folder = folder
        self._api, self._console = free_ports(2)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: Leash | None = None
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.kill()

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:PORT`, where S3 is spoken."""
        return f"http://127.0.0.1:{self._api}"

    @property
    def console(self) -> str:
        """`http://127.0.0.1:PORT/`, for a browser."""
        return f"http://127.0.0.1:{self._console}/"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None

    def client(self) -> Client:
        """A client of MinIO's own package, signed in as root: one for all, whose connections are kept."""
        if self._client is None:
            address = f"127.0.0.1:{self._api}"
            self._client = Client(address, self.access_key, self.secret_key, secure=False, region="us-east-1")
        return self._client

    def start(self) -> Self:
        """Start it (again, on the same ports and data) and wait until it serves requests, and the console pages."""
        assert self._process is None, "it runs already"
        with self._log().open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._whole_environment()
            )
        self._leash = Leash(self._process.pid)
        self._await_ready()
        return self

    def kill(self) -> None:
        """kill -9: nothing is said goodbye to."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM: a graceful stop; returns the exit status."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        """What the processes wrote so far."""
        return self._log().read_text(errors="replace")

    def _command(self) -> list[str]:
        addresses = ("--address", f"127.0.0.1:{self._api}", "--console-address", f"127.0.0.1:{self._console}")
        certificates = str(self._folder / "certificates")  # not those of the user
        return [
            str(program()),
            "server",
            "--quiet",
            *addresses,
            "--certs-dir",
            certificates,
            str(self._folder / "data"),
        ]

    def _whole_environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
        return {
            **inherited,
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "on",
            "MINIO_UPDATE": "off",  # it would ask its makers for a newer version
            **self._environment,
        }

    def _log(self) -> Path:
        return self._folder / "log"

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while not (_answers(self._api, HEALTH) and _answers(self._console, "/")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"MinIO did not start:\n{self.log()[-2000:]}")
            time.sleep(0.01)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None, "it does not run"
        assert self._leash is not None
        self._leash.release()
        self._process.send_signal(number)
        status = self._process.wait(STOP_TIMEOUT)
        self._process = self._leash = None
        return status


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
