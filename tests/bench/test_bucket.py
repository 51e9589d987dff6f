"""The MinIO of a run: fresh buckets, nothing left of those that are over, and words where there is none."""

import os
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from bench.bucket import Bucket, Depot, minio_version
from bench.errors import CannotMeasure
from bench.scenarios import MIB
from tests.minio import program


@pytest.fixture
def depot(minio_program: Path, tmp_path: Path) -> Iterator[Depot]:
    """A MinIO of the bench, over an empty folder."""
    with Depot(tmp_path) as depot:
        yield depot


def put(bucket: Bucket, size: int) -> None:
    """Store an object of so many bytes."""
    bucket.client().put_object(bucket.name, "some object", BytesIO(bytes(size)), size)


def bytes_in(folder: Path) -> int:
    """What files take below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_bucket_is_off_the_disk_when_it_is_over(depot: Depot, tmp_path: Path) -> None:
    """Not in the trash either, where MinIO would keep it for minutes."""
    with depot.bucket() as bucket:
        put(bucket, 8 * MIB)
        assert bytes_in(tmp_path) > 8 * MIB
    assert bytes_in(tmp_path) < MIB
    assert not bucket.client().bucket_exists(bucket.name)


def test_bucket_may_be_kept(depot: Depot) -> None:
    """Many small objects are deleted when nobody is measured any more; the next bucket is another one."""
    with depot.bucket(keep=True) as kept:
        put(kept, 10)
    with depot.bucket() as other:
        assert other.name != kept.name
        assert [each.object_name for each in other.client().list_objects(other.name)] == []
    assert kept.client().bucket_exists(kept.name)


def test_key_is_not_printed(depot: Depot) -> None:
    """A bucket that turns up in a message says where it is, and not how to get in."""
    with depot.bucket() as bucket:
        assert bucket.secret_key not in repr(bucket)


def test_minio_that_is_gone_is_told(depot: Depot) -> None:
    """A turn fails in words, and the others may go on."""
    with depot.bucket(keep=True) as bucket:
        os.kill(bucket.pid, signal.SIGKILL)
    with pytest.raises(CannotMeasure, match="MinIO: "), depot.bucket():
        pass


def test_minio_that_cannot_be_built_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words of the build."""

    def no_build() -> Path:
        raise RuntimeError("no way to Go's module proxy")

    monkeypatch.setattr("bench.bucket.program", no_build)
    with pytest.raises(CannotMeasure, match="no way to Go's module proxy"):
        Depot(tmp_path)


def test_version_is_that_of_the_build(minio_program: Path) -> None:
    """As the cache folder is named."""
    assert minio_version() == program().parent.name
