"""The MinIO of a run, and a fresh bucket on it for each turn."""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from minio import Minio as Client
from minio.deleteobjects import DeleteObject
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from bench.errors import CannotMeasure
from tests.minio import SCRIPT, Minio, program

REGION: Final = "us-east-1"

# What MinIO does by itself would fall into anybody's turn: every five minutes it clears away what was deleted, as the
# bench does between turns, and all the time it looks through what it holds.
TRASH: Final = "data/.minio.sys/tmp/.trash"
BACKGROUND: Final = {"MINIO_API_DELETE_CLEANUP_INTERVAL": "24h", "MINIO_SCANNER_SPEED": "slowest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, and how to get at it."""

    name: str
    port: int  # of its server, on loopback
    pid: int  # of its server
    access_key: str
    secret_key: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """The variables in which servers look for keys."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
        }

    def client(self) -> Client:
        """A client of MinIO's own package."""
        return Client(f"127.0.0.1:{self.port}", self.access_key, self.secret_key, secure=False, region=REGION)


def minio_version() -> str:
    """The version of MinIO that scripts/minio builds."""
    found = re.search(r"^version=(\S+)", SCRIPT.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


class Depot:
    """One MinIO for a whole run; as a context manager it is started and ended."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists and is for this server alone. Raises CannotMeasure when there is no MinIO to start."""
        try:
            program()
        except RuntimeError as error:
            raise CannotMeasure(str(error)) from error
        self._folder = folder
        self._minio = Minio(folder, environment=BACKGROUND)

    def __enter__(self) -> Self:
        try:
            self._minio.start()
        except AssertionError as error:
            raise CannotMeasure(str(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._minio.running:
            self._minio.kill()

    @property
    def objects(self) -> Path:
        """Where it keeps objects, and what it notes about them."""
        return self._folder / "data"

    @contextmanager
    def bucket(self, *, keep: bool = False) -> Iterator[Bucket]:
        """A fresh bucket, gone from the disk afterwards; with `keep` it stays. Raises CannotMeasure."""
        bucket = Bucket(
            name=f"bench-{secrets.token_hex(6)}",
            port=int(self._minio.endpoint.rpartition(":")[2]),
            pid=self._minio.pid,
            access_key=self._minio.access_key,
            secret_key=self._minio.secret_key,
        )
        with _in_words():
            bucket.client().make_bucket(bucket.name)
        try:
            yield bucket
        finally:
            if not keep:
                with _in_words():
                    _remove(bucket)
                self._empty_trash()

    def _empty_trash(self) -> None:
        with suppress(FileNotFoundError):
            for each in (self._folder / TRASH).iterdir():
                shutil.rmtree(each, ignore_errors=True)


def _remove(bucket: Bucket) -> None:
    client = bucket.client()
    objects = client.list_objects(bucket.name, recursive=True)
    wrong = list(client.remove_objects(bucket.name, (DeleteObject(each.object_name or "") for each in objects)))
    if wrong:
        raise CannotMeasure(f"MinIO does not delete: {wrong[0].message}")
    client.remove_bucket(bucket.name)


@contextmanager
def _in_words() -> Iterator[None]:
    """What MinIO refuses, or does not answer, as CannotMeasure."""
    try:
        yield
    except (MinioException, HTTPError) as error:
        raise CannotMeasure(f"MinIO: {error}") from error
