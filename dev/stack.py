"""Several services, started in the order in which they need each other, watched, and ended in the opposite order."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dev.compose import Condition, Service
from dev.errors import CannotRun
from dev.native import Native
from dev.ports import is_free
from dev.process import Process, succeeds

WITHIN: Final = 60.0  # seconds for a service to become what another one needs
PAUSE: Final = 0.05  # seconds between two looks

Say = Callable[[str], None]


class Stack:
    """The services as a context manager: inside, each one is well or, where it runs only once, has done its work.

    Volumes are folders below `folder`, which stays; `say` is called with what the services write, a line at a time.
    """

    def __init__(self, services: Mapping[str, Service], folder: Path, say: Say = print) -> None:
        self._services = services
        self._native = Native(services, folder)
        self._folder = folder
        self._say = say
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        try:
            self._refuse_taken_ports()
            for service in self._services.values():
                self._launch(service)
                self._await(service, self._wanted_of(service.name))
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def healthy(self, name: str) -> bool:
        """Whether the service's own health check succeeds, now."""
        service = self._services[name]
        return succeeds(self._native.health(service)) and self._processes[name].status is None

    def watch(self) -> None:
        """Stay until a service ends that should not. Raises CannotRun then."""
        while True:
            for name, process in self._processes.items():
                if process.status is not None and self._wanted_of(name) != "service_completed_successfully":
                    raise _ended(name, process.status)
            time.sleep(PAUSE)

    def end(self) -> None:
        """End all that runs, the last one first."""
        for name in reversed(self._processes):
            self._processes[name].end(self._services[name].grace)
        self._processes.clear()

    def _refuse_taken_ports(self) -> None:
        """Otherwise a health check could be answered by somebody else's server."""
        for service in self._services.values():
            for port in service.ports.values():
                if not is_free(port):
                    raise CannotRun(
                        f"port {port} of {service.name} is taken on this machine; "
                        "the head of docker-compose.yml says by which variable another one is chosen"
                    )

    def _launch(self, service: Service) -> None:
        for folder in (self._folder, *self._native.folders(service)):
            folder.mkdir(parents=True, exist_ok=True)
        self._processes[service.name] = Process(
            self._native.command(service),
            self._native.environment(service),
            self._folder,
            lambda line: self._say(f"{service.name:<{self._width()}} | {line}"),
        )

    def _width(self) -> int:
        return max(map(len, self._services))

    def _wanted_of(self, name: str) -> Condition:
        """What has to become of a service before the next one is started."""
        conditions = {other.needs[name] for other in self._services.values() if name in other.needs}
        if "service_completed_successfully" in conditions or not self._services[name].health:
            return "service_completed_successfully"
        return "service_healthy"

    def _await(self, service: Service, wanted: Condition) -> None:
        process, deadline = self._processes[service.name], time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            status = process.status
            if wanted == "service_completed_successfully":
                if status == 0:
                    return
            elif self.healthy(service.name):
                return
            if status is not None:
                raise _ended(service.name, status)
            time.sleep(PAUSE)
        raise CannotRun(f"{service.name} was not well after {WITHIN:.0f} s; what it wrote is above")


def _ended(name: str, status: int) -> CannotRun:
    return CannotRun(f"{name} ended with exit code {status}; what it wrote is above")
