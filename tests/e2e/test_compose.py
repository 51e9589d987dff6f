"""docker-compose.yml as plain processes: its commands, settings and health checks work, and it keeps its promises."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from minio import Minio as Client

from dev.compose import Service, read_services, with_needs
from dev.native import ROOT
from dev.ports import free_ports
from dev.stack import Stack
from ferryman_server.settings import Settings

TEXT: Final = (ROOT / "docker-compose.yml").read_text()
WHOLE: Final = yaml.safe_load(TEXT)["services"]
USER: Final = {"MINIO_ROOT_USER": "somebody", "MINIO_ROOT_PASSWORD": "and their password"}
HOUR: Final = 3600.0  # seconds
CONTENT: Final = bytes(range(256)) * 4096  # 1 MiB

pytestmark = pytest.mark.usefixtures("minio_program")


def chosen_ports() -> dict[str, str]:
    """The file's variables for ports, with free ones."""
    names = ("MINIO_PORT", "MINIO_CONSOLE_PORT", "FERRYMAN_PORT")
    return {name: str(port) for name, port in zip(names, free_ports(3), strict=True)}


@contextmanager
def running(services: Mapping[str, Service], folder: Path) -> Iterator[tuple[Stack, list[str]]]:
    """The services for the length of the `with`, and what they write."""
    told: list[str] = []
    with Stack(services, folder, told.append) as stack:
        yield stack, told


def client_of(ports: Mapping[str, str]) -> Client:
    """A client of the MinIO that runs, as the user of the settings."""
    address = f"127.0.0.1:{ports['MINIO_PORT']}"
    return Client(address, USER["MINIO_ROOT_USER"], USER["MINIO_ROOT_PASSWORD"], secure=False)


def test_minio_gets_well_and_has_the_bucket(tmp_path: Path) -> None:
    """Twice on the same folders: the bucket is made, and found the next time."""
    ports = chosen_ports()
    services = with_needs(read_services(TEXT, ports | USER), ["create-bucket"])
    said = []
    for _ in range(2):
        with running(services, tmp_path) as (stack, told):
            assert stack.healthy("minio")
            assert client_of(ports).bucket_exists("uploads")
            assert "MinIO Console" in httpx.get(f"http://127.0.0.1:{ports['MINIO_CONSOLE_PORT']}/").text
        said += [line.partition("| ")[2] for line in told if line.startswith("create-bucket")]
    at = f"at http://127.0.0.1:{ports['MINIO_PORT']}"
    assert said == [f"The bucket uploads was made {at}", f"The bucket uploads is there already {at}"]


def test_an_upload_to_the_server_is_an_object_in_the_bucket(tmp_path: Path) -> None:
    """All three as the file has them: what is uploaded to one lies, whole, in the other."""
    ports = chosen_ports()
    url = f"http://127.0.0.1:{ports['FERRYMAN_PORT']}"
    with running(read_services(TEXT, ports | USER), tmp_path) as (stack, told):
        assert all(stack.healthy(name) for name in ("minio", "server"))
        made = httpx.post(f"{url}/files/", headers={"Upload-Complete": "?1"}, content=CONTENT)
        assert made.status_code == 201, told
        client = client_of(ports)
        (stored,) = [
            each for each in client.list_objects("uploads", "library/", recursive=True) if each.size == len(CONTENT)
        ]
        assert made.headers["location"].rpartition("/")[2] in str(stored.object_name)
        assert httpx.get(url + made.headers["location"]).content == CONTENT


def test_make_dev_says_where_everything_is_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    """The command itself, with the services that are asked for; nothing goes on listening."""
    ports = chosen_ports()
    command = [sys.executable, "-m", "dev", "--data", str(tmp_path), "create-bucket"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ports, **USER}, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        said = ""
        while "Ctrl-C ends it" not in said and (line := process.stdout.readline()):
            said += line
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
        watchdog.cancel()
        assert process.wait(30) == 0, said
    for name in ("MINIO_PORT", "MINIO_CONSOLE_PORT"):
        assert f"http://127.0.0.1:{ports[name]}/" in said
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{ports[name]}/")


def test_images_of_others_are_pinned_by_digest() -> None:
    """What is pulled tomorrow is what was pulled today."""
    for name, service in WHOLE.items():
        assert "build" in service or re.search(r":RELEASE\S+@sha256:[0-9a-f]{64}$", service["image"]), name


def test_nobody_else_reaches_them() -> None:
    """Every published port is one of this machine only: the passwords in the file are no secret."""
    for service in WHOLE.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_minio_keeps_what_ferryman_goes_on_with() -> None:
    """MinIO counts from the creation of a multipart upload: ten times the time to live leaves room for long ones."""
    kept = WHOLE["minio"]["environment"]["MINIO_API_STALE_UPLOADS_EXPIRY"]
    assert float(kept.removesuffix("h")) * HOUR >= 10 * Settings().upload_ttl


def test_every_service_has_a_health_check_or_runs_once() -> None:
    """And whoever needs another one waits until it is well, or done."""
    needed: dict[str, Any] = {
        name: condition["condition"]
        for service in WHOLE.values()
        for name, condition in service.get("depends_on", {}).items()
    }
    for name, service in WHOLE.items():
        if needed.get(name) == "service_completed_successfully":
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"][0] == "CMD"
    assert set(needed.values()) <= {"service_healthy", "service_completed_successfully"}


def test_the_image_checks_itself_as_the_file_does() -> None:
    """The same line stands in both, because the processes of `make dev` know only this file."""
    found = re.search(r"HEALTHCHECK .*\\\n *CMD (.*)", (ROOT / "server/Dockerfile").read_text())
    assert found is not None
    assert json.loads(found[1]) == WHOLE["server"]["healthcheck"]["test"][1:]
