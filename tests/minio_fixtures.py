"""Fixtures that give a test a real MinIO, or a bucket on it. No test is skipped for want of it: it is built."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.minio import Minio, program
from tests.support.buckets import fresh_bucket


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build MinIO before the first test runs, when one of them uses it: a test's time limit is for the test."""
    used = any("minio_program" in getattr(item, "fixturenames", ()) for item in session.items)
    if used and not session.config.option.collectonly:
        try:
            program()
        except RuntimeError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def minio_program() -> Path:
    """The program of the server. A test that starts a `Minio` of its own asks for it too, so that it is there."""
    return program()


@pytest.fixture(scope="session")
def minio(minio_program: Path) -> Iterator[Minio]:
    """One server for all tests that need no more than buckets of their own; nobody stops it."""
    with tempfile.TemporaryDirectory(prefix="minio-") as folder, Minio(Path(folder)) as server:
        yield server


@pytest.fixture
def bucket(minio: Minio) -> str:
    """A new empty bucket on the shared server."""
    return fresh_bucket(minio)
