"""What several files here need."""

from collections.abc import Iterator

import pytest

from tests.minio import Minio
from tests.server.storage.s3_rig import Place


@pytest.fixture
def place(minio: Minio, bucket: str) -> Iterator[Place]:
    """An empty bucket."""
    made = Place(minio, bucket)
    yield made
    made.close()
