"""Processor time during a turn: of the server, of the MinIO behind it, and of the whole machine."""

from dataclasses import dataclass

from bench.bucket import Bucket
from bench.processes import Running, busy_seconds, cpu_seconds


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds."""

    server: float
    minio: float
    machine: float


class Clocks:
    """They run from now on."""

    def __init__(self, server: Running | None, bucket: Bucket | None) -> None:
        self._server, self._bucket = server, bucket
        self._began = self._now()

    def spent(self) -> Spent:
        """What was spent so far."""
        now, began = self._now(), self._began
        return Spent(now.server - began.server, now.minio - began.minio, now.machine - began.machine)

    def _now(self) -> Spent:
        return Spent(
            self._server.cpu_seconds() if self._server else 0.0,
            cpu_seconds(self._bucket.pid) if self._bucket else 0.0,
            busy_seconds(),
        )
