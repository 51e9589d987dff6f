"""What docker-compose.yml says of each service, as far as a process without a container needs to know it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from dev.errors import CannotRun

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]

# `${NAME}`, `${NAME:-default}`, and `$$` for a dollar: of Compose's notations, those that our file may use.
_VARIABLE: Final = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_GRACE: Final = "10s"  # Compose's own


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A service; ports, paths and names of hosts are those inside the containers."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: Mapping[int, int]  # in the container → on the host
    volumes: Mapping[str, str]  # path in the container → name of the volume
    health: tuple[str, ...]  # the command that ends with 0 when the service is well; empty: none
    needs: Mapping[str, Condition]
    grace: float  # seconds between SIGTERM and SIGKILL


def read_services(text: str, variables: Mapping[str, str]) -> dict[str, Service]:
    """The services of a compose file, each one after those it needs. Raises CannotRun for a circle among them."""
    found = {name: _service(name, _filled(told, variables)) for name, told in yaml.safe_load(text)["services"].items()}
    return {name: found[name] for name in _in_order(found)}


def with_needs(services: dict[str, Service], names: list[str]) -> dict[str, Service]:
    """These services and all that they need. Raises CannotRun for a name that there is not."""
    if unknown := [name for name in names if name not in services]:
        raise CannotRun(f"there is no service {unknown[0]}; there are: {', '.join(services)}")
    wanted = set(names)
    for name in reversed(services):  # whoever needs comes after what is needed
        if name in wanted:
            wanted |= set(services[name].needs)
    return {name: service for name, service in services.items() if name in wanted}


def _service(name: str, told: Mapping[str, Any]) -> Service:
    health = told.get("healthcheck", {})
    return Service(
        name=name,
        command=tuple(map(str, told["command"])),
        environment={key: str(value) for key, value in told.get("environment", {}).items()},
        ports=dict(_port(each) for each in told.get("ports", [])),
        volumes=dict(_volume(each) for each in told.get("volumes", [])),
        health=tuple(health["test"][1:]) if health.get("test", ["NONE"])[0] == "CMD" else (),
        needs={other: details["condition"] for other, details in told.get("depends_on", {}).items()},
        grace=_seconds(told.get("stop_grace_period", _GRACE)),
    )


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with its variables filled in, as deep as it goes."""
    match value:
        case str():
            return _VARIABLE.sub(lambda found: _value(found, variables), value)
        case list():
            return [_filled(each, variables) for each in value]
        case dict():
            return {key: _filled(each, variables) for key, each in value.items()}
        case _:
            return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    return "$" if found["dollar"] else variables.get(found["name"]) or found["default"] or ""


def _port(text: str) -> tuple[int, int]:
    _address, published, target = text.split(":")
    return int(target), int(published)


def _volume(text: str) -> tuple[str, str]:
    volume, path = text.split(":")
    return path, volume


def _seconds(text: str) -> float:
    return float(text[:-1]) * _SECONDS[text[-1]]


def _in_order(services: Mapping[str, Service]) -> list[str]:
    order: list[str] = []
    while len(order) < len(services):
        ready = [name for name, each in services.items() if name not in order and set(each.needs) <= set(order)]
        if not ready:
            raise CannotRun(f"services that need each other: {', '.join(sorted(set(services) - set(order)))}")
        order += ready
    return order
