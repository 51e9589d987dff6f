"""The servers that are measured: ours, the rivals that are here, and the floors."""

import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from bench.bucket import Bucket, minio_version
from bench.errors import CannotMeasure
from bench.native import HERE, program

Kind = Literal["ours", "rival", "floor"]
Command = Callable[[int, Path], list[str]]
BucketCommand = Callable[[int, Path, Bucket], list[str]]
NODE_AT_LEAST: Final = 20
STRAIGHT: Final = "straight"
CHECKED: Final = "straight-checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server by name, and the command that starts it on a port over a folder. Every one is a single process, with
    its default settings and without a log of requests."""

    name: str  # as typed after --servers
    title: str
    kind: Kind
    synced: str  # what it makes sure of before it answers
    command: Command | None
    into_bucket: BucketCommand | None = None  # starts it so that it stores there
    path: str = "/files/"
    decodes: frozenset[str] = field(default=frozenset())  # content codings of a request's body
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A server that cannot be measured here, why, and how to get it."""

    name: str
    title: str
    why: str


def known() -> list[Server | Missing]:
    """Every server of the comparison, in the order of the tables. Raises CannotMeasure without a C compiler."""
    return [
        _ferryman("ferryman", "Ferryman, durable", "disk", "synced before each answer"),
        _ferryman("ferryman-os", "Ferryman, durability os", "os", "nothing synced"),
        _tusd(),
        _node(),
        _tuspyserver(),
        _straight(STRAIGHT, "straight into MinIO"),
        _straight(CHECKED, "straight into MinIO, checked"),
        _floor("floor-overlap", "C floor, syncs overlap", "overlap", "synced before each answer"),
        _floor(
            "floor-bounded", "C floor, at most 8 MiB unsynced", "bounded", "synced before each answer, 8 MiB at risk"
        ),
        _floor("floor-each", "C floor, sync before answer", "each", "synced before each answer"),
        _floor("floor-none", "C floor, no syncs", "none", "nothing synced"),
    ]


def without_derived(server: Server) -> Server:
    """The same one of ours, which makes nothing of media in the background."""
    off = ["--no-previews"]
    command, into_bucket = server.command, server.into_bucket
    return replace(
        server,
        command=command and (lambda port, data: [*command(port, data), *off]),
        into_bucket=into_bucket and (lambda port, data, bucket: [*into_bucket(port, data, bucket), *off]),
    )


def _ferryman(name: str, title: str, durability: str, synced: str) -> Server:
    def command(port: int, data: Path) -> list[str]:
        flags = ["--port", str(port), "--data", str(data), "--durability", durability, "--log-level", "error"]
        return [sys.executable, "-m", "ferryman_cli", "serve", *flags]

    def into_bucket(port: int, data: Path, bucket: Bucket) -> list[str]:
        return [*command(port, data), "--store", f"s3://{bucket.name}/bench", "--s3-endpoint", bucket.endpoint]

    return Server(
        name=name,
        title=title,
        kind="ours",
        synced=synced,
        command=command,
        into_bucket=into_bucket if durability == "disk" else None,
        decodes=frozenset({"gzip", "zstd"}),
        version=importlib.metadata.version("ferryman"),
    )


def _tusd() -> Server | Missing:
    binary = shutil.which("tusd")
    if binary is None:
        return Missing(
            name="tusd",
            title="tusd",
            why="no program of that name is on the PATH: get a binary at github.com/tus/tusd/releases, "
            "or build one with Go: go install github.com/tus/tusd/v2/cmd/tusd@latest",
        )

    def start(port: int, *store: str) -> list[str]:
        quiet = ["-verbose=false", "-show-startup-logs=false", "-show-greeting=false"]
        return [binary, "-host", "127.0.0.1", "-port", str(port), *store, *quiet]

    told = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False).stdout
    # A build from source does not know its version.
    found = re.search(r"^Version: *(\S+)", told, re.MULTILINE)
    unnamed = hashlib.sha256(Path(binary).read_bytes()).hexdigest()[:12]
    return Server(
        name="tusd",
        title="tusd",
        kind="rival",
        synced="nothing synced",
        command=lambda port, data: start(port, "-upload-dir", str(data)),
        into_bucket=lambda port, data, bucket: start(port, "-s3-bucket", bucket.name, "-s3-endpoint", bucket.endpoint),
        version=found[1] if found and found[1] != "n/a" else f"a build with SHA-256 {unnamed}…",
    )


def _node() -> Server | Missing:
    node, package = shutil.which("node"), HERE / "node_modules/@tus/server/package.json"
    why = None
    if node is None or _node_major(node) < NODE_AT_LEAST:
        why = f"there is no Node {NODE_AT_LEAST} or newer on the PATH: install it (nodejs.org), then make bench"
    elif not package.is_file():
        why = "its packages are not in bench/node_modules: make bench, or scripts/js-packages bench, puts them there"
    if why is not None or node is None:
        return Missing(name="tus-node-server", title="@tus/server", why=why or "")

    def command(port: int, data: Path) -> list[str]:
        return [node, str(HERE / "node_server.mjs"), str(port), str(data)]

    version = str(json.loads(package.read_text())["version"])
    return Server(
        name="tus-node-server",
        title="@tus/server",
        kind="rival",
        synced="nothing synced",
        command=command,
        version=version,
    )


def _node_major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", told)
    return int(found[1]) if found else 0


def _tuspyserver() -> Server | Missing:
    if importlib.util.find_spec("tuspyserver") is None:
        return Missing(
            name="tuspyserver",
            title="tuspyserver",
            why="it is not installed in this Python: make env puts it there",
        )

    def command(port: int, data: Path) -> list[str]:
        return [sys.executable, "-P", str(HERE / "tuspyserver_server.py"), str(port), str(data)]

    return Server(
        name="tuspyserver",
        title="tuspyserver",
        kind="rival",
        synced="its notes, not the data",
        command=command,
        version=importlib.metadata.version("tuspyserver"),
    )


def _floor(name: str, title: str, sync: str, synced: str) -> Server:
    binary = program("floor")

    def command(port: int, data: Path) -> list[str]:
        return [str(binary), "--port", str(port), "--dir", str(data), "--sync", sync]

    return Server(name=name, title=title, kind="floor", synced=synced, command=command)


def _straight(name: str, title: str) -> Server:
    """No server: the bench puts the bytes into the bucket itself (:mod:`bench.straight`)."""
    return Server(
        name=name,
        title=title,
        kind="floor",
        synced="nothing is between the client and MinIO",
        command=None,
        into_bucket=lambda port, data, bucket: [],
        version=minio_version(),
    )


def chosen(wanted: list[str], matches: Callable[[str, list[str]], bool]) -> tuple[list[Server], list[Missing]]:
    """The servers that were asked for and are here, and those that were asked for and are not."""
    asked = [each for each in known() if matches(each.name, wanted)]
    if not asked:
        names = ", ".join(each.name for each in known())
        raise CannotMeasure(f"no server is called {' or '.join(wanted)}; there are: {names}")
    servers = [each for each in asked if isinstance(each, Server)]
    return servers, [each for each in asked if isinstance(each, Missing)]
