"""A server process of its own for one measurement, over an empty folder, and a fresh bucket where there is a MinIO."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bucket import Bucket, Depot
from bench.errors import CannotMeasure
from bench.processes import Running, running
from bench.rounds import fresh_folder
from bench.servers import Server
from ferryman_server.benching.address import Address
from ferryman_server.benching.errors import CannotRate


@dataclass(frozen=True, slots=True)
class Fresh:
    """The server, and where its bytes go."""

    process: Running
    address: Address
    data: Path  # its data folder
    bucket: Bucket | None


@contextmanager
def fresh_server(server: Server, place: Path, depot: Depot | None = None) -> Iterator[Fresh]:
    """The server for the length of the `with`; what it stored is gone then. Raises CannotMeasure, also for whatever of
    `benching` cannot be rated inside."""
    with ExitStack() as stack:
        data = stack.enter_context(fresh_folder(place)) / "data"
        bucket = stack.enter_context(depot.bucket()) if depot else None
        process = stack.enter_context(running(server, data, bucket))
        address = Address("http", "127.0.0.1", process.port)
        try:
            address.ask("GET", "/readyz")  # it takes connections before its database is there
            yield Fresh(process, address, data, bucket)
        except CannotRate as reason:
            raise CannotMeasure(str(reason)) from reason
