"""One turn: a server on a fresh folder, a load, a ping beside it, and a look at what was stored."""

from pathlib import Path
from typing import Final

from bench.bodies import Body
from bench.check import check_stored
from bench.load import loaded
from bench.measurement import Measurement
from bench.ping import pinging
from bench.processes import busy_seconds, running
from bench.scenarios import MIB, Scenario, amount
from bench.servers import Server
from bench.settle import touch_memory

TOUCHED: Final = 6  # times what a turn stores: the kernel does not hand pages out in the order in which they were freed


def take_turn(server: Server, scenario: Scenario, body: Body, data: Path, paths: Path | None) -> Measurement:
    """Measure one server under one load. `paths` names the uploads to ask for, in a HEAD scenario.

    Raises CannotMeasure when the server did not do what it was asked.
    """
    with running(server, data) as target:
        touch_memory(TOUCHED * scenario.bytes_stored + 256 * MIB)
        busy, server_cpu = busy_seconds(), target.cpu_seconds()
        with (
            pinging(target.port, server.path) as stop_pings,
            loaded(target.port, server.path, *_arguments(scenario, body, paths)) as told,
        ):
            server_cpu = target.cpu_seconds() - server_cpu
            busy = busy_seconds() - busy
            peak = target.peak_megabytes()
            pings = stop_pings()
    if paths is None:
        check_stored(data, count=scenario.count, size=scenario.size, content=body.content)
    client_cpu = told["client_cpu_seconds"]
    return Measurement(
        seconds=told["seconds"],
        rate=amount(scenario) / told["seconds"],
        wire_bytes=told["wire_bytes"],
        server_cpu_seconds=server_cpu,
        client_cpu_seconds=client_cpu,
        other_cpu_seconds=max(0.0, busy - server_cpu - client_cpu),
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
