"""Services start one after the other, are watched, and end in the opposite order; what fails is named."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from dev.compose import Service, read_services
from dev.errors import CannotRun
from dev.ports import free_ports
from dev.stack import Stack
from tests.support.process import eventually

STAYS: Final = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit('ends'))\ntime.sleep(60)"
SPEAKS: Final = "print('did it')"
FAILS: Final = "import sys\nsys.exit('did not work')"
WELL: Final = "pass"
ILL: Final = "import sys\nsys.exit(1)"


def service(code: str, *, health: str | None = None, needs: Sequence[str] = (), port: int | None = None) -> object:
    """A service as it stands in a compose file, whose program and health check are Python."""
    conditions = dict(each.split(":") for each in needs)
    return {
        "command": ["python", "-c", code],
        "healthcheck": {"test": ["CMD", "python", "-c", health]} if health is not None else {"disable": True},
        "depends_on": {name: {"condition": condition} for name, condition in conditions.items()},
        "ports": [f"127.0.0.1:{port}:80"] if port else [],
    }


def services(**told: object) -> dict[str, Service]:
    """The services of a compose file (JSON is YAML)."""
    return read_services(json.dumps({"services": told}), {})


def test_each_waits_for_what_it_needs_and_the_last_one_ends_first(tmp_path: Path) -> None:
    """A service that stays has to be well, one that runs once has to have succeeded."""
    told: list[str] = []
    three = services(
        last=service(STAYS, health=WELL, needs=["once:service_completed_successfully"]),
        once=service(SPEAKS, needs=["base:service_healthy"]),
        base=service(STAYS, health=WELL),
    )
    with Stack(three, tmp_path, told.append) as stack:
        assert told == ["once | did it"]
        assert stack.healthy("base")
        assert stack.healthy("last")
    assert told == ["once | did it", "last | ends", "base | ends"]


@pytest.mark.parametrize("health", [ILL, None])
def test_a_service_that_ends_is_named_and_the_others_end_too(tmp_path: Path, health: str | None) -> None:
    """Whatever was started before it does not stay behind, and nothing is started after it."""
    told: list[str] = []
    with (
        pytest.raises(CannotRun, match="first ended with exit code 1"),
        Stack(
            services(
                base=service(STAYS, health=WELL),
                first=service(FAILS, health=health, needs=["base:service_healthy"]),
                second=service(SPEAKS, needs=["first:service_healthy"]),
            ),
            tmp_path,
            told.append,
        ),
    ):
        pass
    assert told == ["first  | did not work", "base   | ends"]


def test_one_that_is_never_well_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to waiting."""
    monkeypatch.setattr("dev.stack.WITHIN", 0.3)
    with (
        pytest.raises(CannotRun, match="base was not well after"),
        Stack(services(base=service(STAYS, health=ILL)), tmp_path, lambda _: None),
    ):
        pass


def test_watching_ends_when_a_service_does(tmp_path: Path) -> None:
    """One that ends later, without being asked, is named as well."""
    short = "import time\ntime.sleep(0.5)"
    stack = Stack(services(base=service(short, health=WELL), once=service(SPEAKS)), tmp_path, lambda _: None)
    with stack, pytest.raises(CannotRun, match="base ended with exit code 0"):
        stack.watch()


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    """Otherwise the other server would answer the health check."""
    (port,) = free_ports(1)
    listen = f"import http.server as s\ns.HTTPServer(('127.0.0.1', {port}), s.BaseHTTPRequestHandler).serve_forever()"
    other = f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"
    with (
        Stack(services(first=service(listen, health=other)), tmp_path, lambda _: None),
        pytest.raises(CannotRun, match=f"port {port} of second is taken"),
        Stack(services(second=service(listen, health=WELL, port=port)), tmp_path, lambda _: None),
    ):
        pass


def test_services_do_not_outlive_a_killed_stack(tmp_path: Path) -> None:
    """kill -9 of the process that started them."""
    starter = (
        "import sys, time; from pathlib import Path; from tests.dev.test_stack import *\n"
        "alive = 'import os, time\\nprint(os.getpid(), flush=True)\\ntime.sleep(60)'\n"
        "with Stack(services(base=service(alive, health=WELL)), Path(sys.argv[1]), lambda s: print(s, flush=True)):\n"
        "    time.sleep(60)"
    )
    command = [sys.executable, "-c", starter, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().rpartition("|")[2])
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
