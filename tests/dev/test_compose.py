"""What is read of a compose file: services in the order of their needs, with variables filled in."""

from typing import Final

import pytest

from dev.compose import read_services, with_needs
from dev.errors import CannotRun

FILE: Final = """
x-shared: &shared
  SECRET: "${SECRET:-default}$$"
services:
  server:
    command: [serve, --port, 80]
    environment: { <<: *shared, NUMBER: 7 }
    ports: ["127.0.0.1:${PORT:-8080}:80"]
    volumes: ["kept:/data"]
    depends_on:
      base: { condition: service_healthy }
      once: { condition: service_completed_successfully }
    stop_grace_period: 2m
  once:
    command: [work]
    depends_on: { base: { condition: service_healthy } }
    healthcheck: { disable: true }
  base:
    command: [base]
    healthcheck: { test: [CMD, check, "${CHECK}"] }
  other:
    command: [other]
"""


def test_a_service_stands_after_those_it_needs() -> None:
    """Whatever their order in the file is."""
    assert list(read_services(FILE, {})) == ["base", "other", "once", "server"]


def test_variables_are_filled_in_with_their_defaults() -> None:
    """A variable that is not set has its default, or is empty; two dollars are one."""
    plain, given = (read_services(FILE, variables) for variables in ({}, {"SECRET": "s", "PORT": "1", "CHECK": "c"}))
    assert plain["server"].environment == {"SECRET": "default$", "NUMBER": "7"}
    assert given["server"].environment["SECRET"] == "s$"
    assert (plain["server"].ports, given["server"].ports) == ({80: 8080}, {80: 1})
    assert (plain["base"].health, given["base"].health) == (("check", ""), ("check", "c"))


def test_everything_else_of_a_service_is_read() -> None:
    """Words of the command, volumes, needs, health check and time to stop."""
    services = read_services(FILE, {})
    server = services["server"]
    assert server.command == ("serve", "--port", "80")
    assert server.volumes == {"/data": "kept"}
    assert server.needs == {"base": "service_healthy", "once": "service_completed_successfully"}
    assert (server.grace, services["once"].grace) == (120, 10)
    assert (server.health, services["once"].health) == ((), ())


def test_services_are_chosen_with_what_they_need() -> None:
    """And without the others."""
    services = read_services(FILE, {})
    assert list(with_needs(services, ["once"])) == ["base", "once"]
    assert list(with_needs(services, ["server"])) == ["base", "once", "server"]
    with pytest.raises(CannotRun, match=r"no service nobody; there are: base, other, once, server"):
        with_needs(services, ["nobody"])


def test_a_circle_is_refused() -> None:
    """It names those that wait for each other."""
    circle = FILE.replace(
        "command: [base]", "command: [base]\n    depends_on: { once: { condition: service_started } }"
    )
    with pytest.raises(CannotRun, match=r"need each other: base, once, server"):
        read_services(circle, {})
