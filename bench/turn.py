"""One turn: a server on a fresh folder, a load, a ping beside it, and a look at what was stored."""

from pathlib import Path
from typing import Any, Final

from bench.bodies import Body
from bench.bucket import Bucket
from bench.check import check_objects, check_stored
from bench.clocks import Clocks, Spent
from bench.load import loaded
from bench.measurement import Measurement
from bench.ping import pinging
from bench.processes import running
from bench.scenarios import MIB, Scenario, amount
from bench.servers import CHECKED, STRAIGHT, Server
from bench.settle import touch_memory
from bench.straight import putting

TOUCHED: Final = 6  # times what a turn stores: the kernel does not hand pages out in the order in which they were freed


def take_turn(
    server: Server, scenario: Scenario, body: Body, data: Path, paths: Path | None, bucket: Bucket | None = None
) -> Measurement:
    """Measure one server under one load. `paths` names the uploads to ask for, in a HEAD scenario; `bucket` is where
    the bytes go, when they go into MinIO.

    Raises CannotMeasure when the server did not do what it was asked.
    """
    if bucket is not None and server.name in (STRAIGHT, CHECKED):
        measurement = _measure_straight(scenario, body, data, bucket, checked=server.name == CHECKED)
    else:
        measurement = _measure_server(server, scenario, body, data, paths, bucket)
    if bucket is not None:
        check_objects(bucket, count=scenario.count, size=scenario.size, content=body.content)
    elif paths is None:
        check_stored(data, count=scenario.count, size=scenario.size, content=body.content)
    return measurement


def _measure_server(
    server: Server, scenario: Scenario, body: Body, data: Path, paths: Path | None, bucket: Bucket | None
) -> Measurement:
    with running(server, data, bucket) as target:
        touch_memory(TOUCHED * scenario.bytes_stored + 256 * MIB)
        clocks = Clocks(target, bucket)
        with (
            pinging(target.port, server.path) as stop_pings,
            loaded(target.port, server.path, *_arguments(scenario, body, paths)) as told,
        ):
            spent = clocks.spent()
            peak = target.peak_megabytes()
            pings = stop_pings()
    return _measurement(scenario, told, pings, spent, peak)


def _measure_straight(scenario: Scenario, body: Body, data: Path, bucket: Bucket, *, checked: bool) -> Measurement:
    """Without a server: the ping beside it asks MinIO itself."""
    touch_memory(TOUCHED * scenario.bytes_stored + 256 * MIB)
    clocks = Clocks(None, bucket)
    with pinging(bucket.port, "/") as stop_pings, putting(scenario, body, data, bucket, checked=checked) as told:
        spent = clocks.spent()
        pings = stop_pings()
    return _measurement(scenario, told, pings, spent, 0.0)


def _measurement(
    scenario: Scenario, told: dict[str, Any], pings: dict[str, float], spent: Spent, peak: float
) -> Measurement:
    client_cpu = told["client_cpu_seconds"]
    return Measurement(
        seconds=told["seconds"],
        rate=amount(scenario) / told["seconds"],
        wire_bytes=told["wire_bytes"],
        server_cpu_seconds=spent.server,
        client_cpu_seconds=client_cpu,
        minio_cpu_seconds=spent.minio,
        other_cpu_seconds=max(0.0, spent.machine - spent.server - spent.minio - client_cpu),
        peak_mb=peak,
        pings=int(pings["pings"]),
        ping_p50_ms=pings["ping_p50_ms"],
        ping_p99_ms=pings["ping_p99_ms"],
        ping_max_ms=pings["ping_max_ms"],
        request_p50_ms=told["request_p50_ms"],
        request_p99_ms=told["request_p99_ms"],
        request_max_ms=told["request_max_ms"],
        reconnects=told["reconnects"],
    )


def _arguments(scenario: Scenario, body: Body, paths: Path | None) -> list[str | int]:
    arguments: list[str | int] = ["--count", scenario.count, "--size", scenario.size]
    arguments += ["--connections", scenario.connections]
    if paths is not None:
        return [*arguments, "--heads", str(paths)]
    arguments += ["--body", str(body.file)]
    if scenario.patch:
        arguments += ["--patch", scenario.patch]
    if scenario.with_creation:
        arguments += ["--with-creation"]
    if scenario.coding:
        arguments += ["--coding", scenario.coding]
    return arguments
