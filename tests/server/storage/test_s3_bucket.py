"""The bucket of the settings is made when it is not there, on a real MinIO, and whoever asks is told what happened."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from urllib3.exceptions import HTTPError

from ferryman_server.storage.s3_bucket import NotSaid, Place, ensure_bucket, read_place
from tests.minio import Minio

BUCKET: Final = "made-by-the-test"


def settings_for(server: Minio, bucket: str = BUCKET) -> dict[str, str]:
    """The environment of a Ferryman that stores there."""
    return {
        "FERRYMAN_STORE": f"s3://{bucket}/library",
        "FERRYMAN_S3_ENDPOINT": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }


def run(settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the module as a container does."""
    command = [sys.executable, "-m", "ferryman_server.storage.s3_bucket"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FERRYMAN_", "AWS_"))}
    return subprocess.run(command, env={**kept, **settings}, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def place(minio: Minio, bucket: str) -> Place:
    """A bucket that is there."""
    return read_place(settings_for(minio, bucket))


@pytest.fixture
def own(minio_program: Path) -> Iterator[Minio]:
    """A server for this test alone, which has not been started."""
    with tempfile.TemporaryDirectory() as folder:
        server = Minio(Path(folder))
        yield server
        if server.running:
            server.kill()


def test_it_makes_the_bucket_once_and_says_so(minio: Minio) -> None:
    """The second time it is there already, and stays."""
    first, second = run(settings_for(minio)), run(settings_for(minio))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == f"The bucket {BUCKET} was made at {minio.endpoint}\n"
    assert second.stdout == f"The bucket {BUCKET} is there already at {minio.endpoint}\n"
    assert minio.client().bucket_exists(BUCKET)


def test_it_waits_for_a_server_that_comes_up(own: Minio) -> None:
    """Neither a refused connection nor an answer of a server that is not ready is the end."""
    start = threading.Timer(0.5, own.start)
    start.start()
    made = ensure_bucket(read_place(settings_for(own)))
    start.join()
    assert made


def test_it_does_not_wait_for_ever(place: Place) -> None:
    """When nobody listens there after that time, the reason is the last attempt's."""
    nobody = replace(place, endpoint="http://127.0.0.1:1")
    with pytest.raises(HTTPError):
        ensure_bucket(nobody, wait=0.3)


def test_a_wrong_password_is_told_at_once(minio: Minio) -> None:
    """Waiting would not mend it."""
    began = time.monotonic()
    done = run({**settings_for(minio, "another"), "AWS_SECRET_ACCESS_KEY": "not the password"})
    assert done.returncode == 1
    assert "SignatureDoesNotMatch" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("missing", ["FERRYMAN_STORE", "FERRYMAN_S3_ENDPOINT", "AWS_ACCESS_KEY_ID"])
def test_what_is_not_set_is_named(minio: Minio, missing: str) -> None:
    """One line says which variable, and the exit code differs from that of a server that refuses."""
    settings = settings_for(minio)
    del settings[missing]
    done = run(settings)
    assert (done.returncode, done.stderr) == (2, f"{missing} is not set\n")


@pytest.mark.parametrize("store", ["local", "memory", "s3:", "s3:///library", "uploads"])
def test_a_store_without_a_bucket_is_refused(minio: Minio, store: str) -> None:
    """Only `s3://BUCKET` names one."""
    with pytest.raises(NotSaid, match="s3://BUCKET/PREFIX"):
        read_place({**settings_for(minio), "FERRYMAN_STORE": store})


@pytest.mark.parametrize(
    ("name", "value"), [("FERRYMAN_STORE", "s3://No_Bucket/"), ("FERRYMAN_S3_ENDPOINT", "minio:9000")]
)
def test_a_value_that_cannot_be_right_is_told_in_one_line(minio: Minio, name: str, value: str) -> None:
    """A bucket's name has rules, and an address begins with its scheme."""
    done = run({**settings_for(minio), name: value})
    assert done.returncode == 1
    assert "could not be made" in done.stderr
    assert "Traceback" not in done.stderr
