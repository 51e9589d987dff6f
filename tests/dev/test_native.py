"""A service of the compose file as a process: hosts, ports, paths and programs are those of this machine."""

import sys
from pathlib import Path
from typing import Final

import pytest

from dev.compose import read_services
from dev.native import Native

FILE: Final = """
services:
  store:
    command: [serve, /data, --address, ":9000"]
    ports: ["127.0.0.1:12345:9000"]
    volumes: ["kept:/data"]
  server:
    command: [python, -m, something, --port, 80]
    environment: { STORE: "http://store:9000", HOST: 0.0.0.0, PORT: "80", FERRYMAN_DATA: /data }
    ports: ["127.0.0.1:8080:80"]
    volumes: ["other:/data"]
    healthcheck: { test: [CMD, curl, "http://127.0.0.1:80/healthz"] }
"""
SERVICES: Final = read_services(FILE, {})
NATIVE: Final = Native(SERVICES, Path("/kept/here"))


@pytest.mark.parametrize(
    ("inside", "here"),
    [
        ("http://store:9000/bucket", "http://127.0.0.1:12345/bucket"),
        ("store:9000", "127.0.0.1:12345"),
        (":80", "127.0.0.1:8080"),
        ("127.0.0.1:80", "127.0.0.1:8080"),
        ("HTTPConnection('127.0.0.1:80', timeout=80)", "HTTPConnection('127.0.0.1:8080', timeout=80)"),
        ("0.0.0.0", "127.0.0.1"),
        ("80", "8080"),
        ("/data", "/kept/here/other"),
        ("/data/db.sqlite", "/kept/here/other/db.sqlite"),
    ],
)
def test_what_means_a_host_a_port_or_a_path_is_translated(inside: str, here: str) -> None:
    """Of another service and of its own."""
    assert NATIVE.translated(SERVICES["server"], inside) == here


@pytest.mark.parametrize(
    "text", ["store", "store:9001", "elsewhere:9000", "127.0.0.1:9000", "9000", "8000", "/database", "s3://a/b", "720h"]
)
def test_anything_else_stays_as_it_is(text: str) -> None:
    """Names without a port, unknown hosts, ports of others, paths that only begin alike."""
    assert NATIVE.translated(SERVICES["server"], text) == text


def test_settings_come_from_the_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the person at the terminal do not reach the services; the rest of the environment does."""
    monkeypatch.setenv("FERRYMAN_MAX_SIZE", "1")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("LANGUAGE", "xx")
    environment = NATIVE.environment(SERVICES["server"])
    assert not {"FERRYMAN_MAX_SIZE", "AWS_PROFILE"} & set(environment)
    assert environment["LANGUAGE"] == "xx"
    assert environment["STORE"] == "http://127.0.0.1:12345"
    assert environment["FERRYMAN_DATA"] == "/kept/here/other"


def test_programs_of_our_environment_come_first() -> None:
    """`python` is the one that runs this; what is not installed beside it is looked up as usual."""
    server = SERVICES["server"]
    program = str(Path(sys.executable).parent / "python")
    assert NATIVE.command(server) == [program, "-m", "something", "--port", "8080"]
    assert NATIVE.health(server) == ["curl", "http://127.0.0.1:8080/healthz"]
    assert NATIVE.folders(server) == [Path("/kept/here/other")]
