"""One server on one bucket for all tests of a module: each finds it running, on an empty bucket, and nothing spoilt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.minio import Minio
from tests.s3.scene import Scene
from tests.support.buckets import fresh_bucket


@pytest.fixture(scope="module")
def stage(minio: Minio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The server, the proxy and the bucket."""
    folder: Path = tmp_path_factory.mktemp("scene")
    with Scene(minio, fresh_bucket(minio), folder / "data").played() as played:
        yield played


@pytest.fixture
def scene(stage: Scene) -> Iterator[Scene]:
    """The same, as a test begins with it."""
    stage.set()
    yield stage
    stage.clear()
