"""Fixtures of the tests that run a server's parts on a bucket of a real MinIO."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.minio import Minio
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import Bucket, use


@pytest.fixture
def place(minio: Minio, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket and a data folder for it, which commands find in the environment."""
    monkeypatch.chdir(tmp_path)
    made = Bucket(minio, bucket, tmp_path / "data", minio.endpoint)
    use(monkeypatch, made)
    return made


@pytest.fixture
def proxy(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What commands ask of that bucket goes through it, and the doctor's patience is short."""
    monkeypatch.setattr("ferryman_server.checkup.probe.PATIENCE", 0.4)
    with FaultProxy(place.minio.endpoint) as made:
        monkeypatch.setenv("FERRYMAN_S3_ENDPOINT", made.endpoint)
        yield made
