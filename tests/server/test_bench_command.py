"""`ferryman bench frames` rates real servers: one of its own, of which nothing is left, and one that runs."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.processes import family
from ferryman_cli import main
from ferryman_server.benching.errors import CannotRate
from ferryman_server.benching.own_server import own_server
from ferryman_server.commands.base import FINE, PROBLEMS
from ferryman_server.settings import Settings
from tests.minio import Minio
from tests.support.process import serving

COUNTS = ("--counts", "1,8", "--rounds", "1")
JUDGED = (FINE, PROBLEMS)  # which of them is a matter of the machine


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ferryman.toml of somebody else's is in the way, and nothing comes into a developer's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Run it with `--json`; the document."""
    assert main(["bench", "frames", *COUNTS, "--json", *arguments]) in JUDGED
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def assert_whole(document: dict[str, Any], frames: Sequence[int] = (1, 8)) -> None:
    """Every size has its figures, and the server's own stopwatches."""
    assert [size["frames"] for size in document["sizes"]] == list(frames)
    for size in document["sizes"]:
        assert size["rate"]["median"] > 0
        assert size["rate_not_indexed"]["median"] > 0
        assert size["ready"]["median"] > 0
        assert {"receive", "wait", "index", "commit", "publish"} <= set(size["stages"])


def test_own_server_is_rated_and_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the disk that is named; a first frame is waited for where an archive is large enough."""
    (tmp_path / "disk").mkdir()
    document = measured(capsys, "--data", str(tmp_path / "disk"))
    assert_whole(document)
    assert [size["first_frame"] is None for size in document["sizes"]] == [True, False]
    assert list((tmp_path / "disk").iterdir()) == []


def test_people_are_told_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder the user's cache is where the bytes go; each size has a line of words."""
    assert main(["bench", "frames", *COUNTS]) in JUDGED
    told = capsys.readouterr().out
    assert f"a server of its own, in {tmp_path}/cache/ferryman" in told
    assert "8 frames: " in told.splitlines()[-1]
    assert list((tmp_path / "cache" / "ferryman").iterdir()) == []


def test_settings_of_a_server_that_runs_here_do_not_reach_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its port, nor limits that would be in the way."""
    (tmp_path / "ferryman.toml").write_text('max_size = "1KiB"\nport = 1\n')
    monkeypatch.setenv("FERRYMAN_MIN_APPEND_SIZE", "1GiB")
    assert_whole(measured(capsys))


def test_server_that_runs_is_rated_and_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its library has nothing of it afterwards."""
    with serving(tmp_path / "data") as server:
        document = measured(capsys, "--url", f"{server.url}/files/")
        assert_whole(document)
        assert document["sizes"][1]["first_frame"] is not None
        assert httpx.get(f"{server.url}/api/media").json()["media"] == []
        left = httpx.get(f"{server.url}/api/uploads").json()["uploads"]
        assert [upload for upload in left if upload["phase"] not in ("terminated", "expired")] == []


def test_bucket_is_rated_below_a_prefix_that_is_gone(
    minio: Minio, bucket: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others keep in the bucket is not touched."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", minio.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", minio.secret_key)
    minio.client().put_object(bucket, "films/other.txt", io.BytesIO(b"other"), 5)
    place = ["--store", f"s3://{bucket}/films", "--s3-endpoint", minio.endpoint]
    assert_whole(measured(capsys, *place))
    left = [each.object_name for each in minio.client().list_objects(bucket, recursive=True)]
    assert left == ["films/other.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "no-such-folder"], "no-such-folder is no folder"),
        (["--url", "http://127.0.0.1:1"], "http://127.0.0.1:1 does not answer"),
        (["--url", "ftp://x"], "ftp://x is no URL of a server"),
        (["--store", "s3://some-bucket"], "AWS_ACCESS_KEY_ID"),
        (["--rounds", "0"], "above 0"),
        (["--counts", "0,5"], "numbers from 1 to"),
        (["--counts", "70000"], "numbers from 1 to"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 2."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert main(["bench", "frames", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_what_is_to_be_rated_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`ferryman bench` alone is a mistake, and its help names what there is."""
    assert main(["bench"]) == 2
    assert main(["bench", "--help"]) == 0
    assert "frames" in capsys.readouterr().out


def test_disk_without_room_is_told_before_anything_starts(tmp_path: Path) -> None:
    """Rather than in the middle."""
    with pytest.raises(CannotRate, match="GB are needed"), own_server(Settings(), tmp_path, 1 << 60):
        pass
    assert list(tmp_path.iterdir()) == []


def test_server_that_does_not_start_is_told_with_its_reason(tmp_path: Path) -> None:
    """As it said it."""
    broken = Settings(store="s3x")
    with pytest.raises(CannotRate, match=r"did not start; it said: .*s3x"), own_server(broken, tmp_path, 0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_run_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM in the middle: the server ends, and its folder goes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = [sys.executable, "-m", "ferryman_cli", "bench", "frames", "--counts", "8", "--rounds", "100000"]
    with subprocess.Popen(
        [*command, "--data", str(place)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the server is there
        children = family(process.pid)[1:]
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 130
    assert children
    assert list(place.iterdir()) == []
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
