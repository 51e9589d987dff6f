"""The first crossing: a real archive of frames goes up, is cut three times, survives a kill -9, comes back whole."""

import hashlib
import json
import re
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.archive import frames_archive
from tests.support.curl import Curled, curl
from tests.support.node import run_node
from tests.support.process import Server, eventually, serving
from tests.support.proxy import Cut, Proxy
from tests.support.uploading import MIB, content

SCRIPT: Final = Path(__file__).parents[2] / "docs/tutorial/first-crossing.sh"
CUTS: Final = ((4 * MIB, Cut.RESET), (8 * MIB, Cut.FIN), (12 * MIB, Cut.RESET))  # at which byte, in which way
CRASH: Final = 16 * MIB  # bytes, before which the server is killed
DELAYS: Final = [100, 500, 1000, 2000, 4000]  # milliseconds between a client's attempts
MOST: Final = 12  # attempts of a person with curl


@pytest.fixture(scope="module")
def archive() -> Path:
    """The frames."""
    path = frames_archive()
    assert path.stat().st_size >= 20_000_000
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone."""
    with serving(tmp_path / "data") as running:
        yield running


@pytest.fixture
def network(server: Server) -> Iterator[Proxy]:
    """A way to the server that breaks three times, and once the server itself does."""
    with Proxy(server.port) as proxy:
        for position, cut in CUTS:
            proxy.at(position, cut)
        proxy.at(CRASH, server.crash)
        yield proxy
        assert proxy.carried_out == 4


def test_the_cargo_is_a_real_archive_of_frames(archive: Path) -> None:
    """A ZIP of stored raw frames whose metadata tell the truth."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        metadata = json.loads(opened.read("metadata.json"))
        frames = [entry for entry in opened.infolist() if entry.filename.startswith("frames/")]
    assert len(frames) == metadata["frames"]
    assert {entry.file_size for entry in frames} == {metadata["width"] * metadata["height"] * 2}
    assert {entry.compress_type for entry in frames} == {zipfile.ZIP_STORED}


def assert_arrived(server: Server, upload: str, archive: Path, target: Path) -> None:
    """The SHA-256 of the download equals the source's."""
    download = curl(server.files + upload.rpartition("/")[2])
    assert download.final.status == 200
    target.write_bytes(download.body)
    with target.open("rb") as arrived, archive.open("rb") as sent:
        assert hashlib.file_digest(arrived, "sha256").digest() == hashlib.file_digest(sent, "sha256").digest()


def test_tus_js_client_carries_the_frames_across(server: Server, network: Proxy, archive: Path, tmp_path: Path) -> None:
    """The client is left alone with its retries; it needs nobody to tell it where to go on."""
    options = {"endpoint": network.files, "metadata": {"filename": archive.name}, "retryDelays": DELAYS}
    result = run_node("upload.mjs", {"file": str(archive), "source": "file", "options": options})
    assert result["outcome"] == "success", result
    assert result["requests"].count("POST 201") == 1
    assert result["requests"].count("HEAD 200") >= 4
    assert_arrived(server, result["url"], archive, tmp_path / "back.zip")


def test_curl_carries_the_frames_across(server: Server, network: Proxy, archive: Path, tmp_path: Path) -> None:
    """Creation with the whole file, and after each break an offset and the rest, over the IETF protocol."""
    whole = archive.read_bytes()
    complete = ("-H", "Upload-Complete: ?1")
    interop = ("-H", "Upload-Draft-Interop-Version: 8")
    sent = curl("-X", "POST", *interop, *complete, "--data-binary", f"@{archive}", network.files)
    upload = network.url + sent.location()
    offsets = [0]
    while sent.exit != 0:
        assert len(offsets) < MOST, offsets
        offsets.append(told_offset(upload))
        at = ("-H", f"Upload-Offset: {offsets[-1]}", "-H", "Content-Type: application/partial-upload")
        rest = whole[offsets[-1] :]
        sent = curl("-X", "PATCH", *complete, *at, "--data-binary", "@-", upload, stdin=rest)
    assert (sent.final.status, sent.final.headers["upload-complete"]) == (201, "?1")
    assert offsets == sorted(offsets)
    assert_arrived(server, upload, archive, tmp_path / "back.zip")


def told_offset(upload: str) -> int:
    """Ask until the server, which may just be starting again, tells the offset."""
    heads: list[Curled] = []

    def answered() -> bool:
        heads.append(curl("-I", upload))
        return heads[-1].exit == 0

    eventually(answered, timeout=30)
    return int(heads[-1].final.headers["upload-offset"])


def test_the_script_of_the_tutorial_walks_across(tmp_path: Path) -> None:
    """docs/tutorial/first-crossing.sh cuts three times, kills once, compares, and leaves nothing running."""
    cargo = tmp_path / "cargo.bin"
    cargo.write_bytes(content(2 * MIB))
    done = subprocess.run([SCRIPT, cargo], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert [line[:6] for line in done.stdout.splitlines() if line.startswith("Cut")] == ["Cut 1:", "Cut 2:", "Cut 3:"]
    assert "killed with -9" in done.stdout
    digest = hashlib.sha256(cargo.read_bytes()).hexdigest()
    assert re.findall(r"SHA-256 of .*: +(\w+)", done.stdout) == [digest, digest]
    (port,) = set(re.findall(r"127\.0\.0\.1:(\d+)", done.stdout))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
