"""The figures of one turn."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One server under one load, once."""

    seconds: float
    rate: float  # in the unit of the scenario
    wire_bytes: int  # body bytes that went over the network
    server_cpu_seconds: float
    client_cpu_seconds: float
    other_cpu_seconds: float  # other programs, and the kernel's own threads: they write back what the server wrote
    peak_mb: float  # the server's memory (1e6 bytes), its start included
    pings: int
    ping_p50_ms: float
    ping_p99_ms: float
    ping_max_ms: float
    request_p50_ms: float
    request_p99_ms: float
    request_max_ms: float
    reconnects: int
    minio_cpu_seconds: float = 0.0  # of the MinIO that the bytes went into
