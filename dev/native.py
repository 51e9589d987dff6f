"""A service of the compose file as a process of this machine: its command, its settings and its health check.

All services share one machine here. So the name of another service becomes 127.0.0.1, a port in a container the one
that it is published as, and a volume a folder: in commands, settings and health checks alike, and only where the text
can mean nothing else. Those are `minio:9000`, `:9000`, `/data` and `/data/…`, and a text that is but a port of its own.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dev.compose import Service
from dev.errors import CannotRun

ROOT: Final = Path(__file__).parent.parent
_ADDRESS: Final = re.compile(r"(?<![\w.-])(?P<host>[a-z][\w-]*|127\.0\.0\.1)?:(?P<port>\d+)\b")
_OURS: Final = ("FERRYMAN_", "MINIO_", "AWS_")  # settings of the person who started us: only the file's count


class Native:
    """Where the services find each other on this machine, with their folders below one folder."""

    def __init__(self, services: Mapping[str, Service], folder: Path) -> None:
        self._services = services
        self._folder = folder

    def command(self, service: Service) -> list[str]:
        """What starts the service. Raises CannotRun when its program is not here and cannot be installed."""
        told = [self.translated(service, word) for word in service.command]
        if service.name == "minio":
            return [_minio(), *told]  # as the entry point of the image does
        return _of_our_python(told)

    def health(self, service: Service) -> list[str]:
        """What ends with 0 when the service is well."""
        return _of_our_python([self.translated(service, word) for word in service.health])

    def environment(self, service: Service) -> dict[str, str]:
        """The service's whole environment."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return inherited | {name: self.translated(service, value) for name, value in service.environment.items()}

    def folders(self, service: Service) -> list[Path]:
        """The folders that stand for its volumes; they have to exist before it starts."""
        return [self._folder / volume for volume in service.volumes.values()]

    def translated(self, service: Service, text: str) -> str:
        """A text of the service as it has to be on this machine; see the module's docstring."""
        if text == "0.0.0.0":  # every network: in a container its own, here those of the machine
            return "127.0.0.1"
        if text.isdigit() and int(text) in service.ports:
            return str(service.ports[int(text)])
        for path, volume in service.volumes.items():
            if text == path or text.startswith(path + "/"):
                return str(self._folder / volume) + text.removeprefix(path)
        return _ADDRESS.sub(lambda found: self._address(service, found), text)

    def _address(self, service: Service, found: re.Match[str]) -> str:
        host, port = found["host"], int(found["port"])
        owner = service if host in (None, "127.0.0.1", "localhost") else self._services.get(host)
        return f"127.0.0.1:{owner.ports[port]}" if owner and port in owner.ports else found[0]


def _minio() -> str:
    done = subprocess.run([ROOT / "scripts/minio"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CannotRun("there is no MinIO; the reason is above")
    return done.stdout.strip()


def _of_our_python(command: list[str]) -> list[str]:
    """The command with the program of the environment that runs us, where that has one of this name."""
    installed = Path(sys.executable).parent / command[0]
    return [str(installed) if installed.exists() else command[0], *command[1:]]
