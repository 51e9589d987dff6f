"""Make the bucket that FERRYMAN_STORE names, when it is not there: `python -m ferryman_server.storage.s3_bucket`.

For the first start of a new place, before the server's: it waits until the S3 server answers, makes the bucket, and
says what it did. A bucket that is there stays as it is. The settings are the server's own, read from the environment:
FERRYMAN_STORE (`s3://BUCKET/PREFIX`), FERRYMAN_S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION.

Exit codes: 0 the bucket is there, 1 it could not be made, 2 the settings do not say which.
"""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from minio import Minio
from minio.error import MinioException, S3Error, ServerError
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

WAIT: Final = 60.0  # seconds for the S3 server to come up
PAUSE: Final = 0.2  # seconds between two attempts
REGION: Final = "us-east-1"  # MinIO's own
_TIMEOUT: Final = Timeout(connect=5, read=10)
_MADE, _FAILED, _UNCLEAR = 0, 1, 2


class NotSaid(Exception):
    """The settings do not say which bucket, where, or in whose name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A bucket, and how to get at it."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = REGION


def read_place(environment: Mapping[str, str]) -> Place:
    """The place that the settings name. Raises NotSaid, with what is missing."""
    store = urlsplit(_required(environment, "FERRYMAN_STORE"))
    if store.scheme != "s3" or not store.netloc:
        raise NotSaid(f"FERRYMAN_STORE is {store.geturl()!r}, and names no bucket; expected: s3://BUCKET/PREFIX")
    return Place(
        endpoint=_required(environment, "FERRYMAN_S3_ENDPOINT"),
        bucket=store.netloc,
        access_key=_required(environment, "AWS_ACCESS_KEY_ID"),
        secret_key=_required(environment, "AWS_SECRET_ACCESS_KEY"),
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or REGION,
    )


def ensure_bucket(place: Place, *, wait: float = WAIT) -> bool:
    """See that the bucket is there; whether it had to be made.

    Waits so many seconds for a server that is not up yet. Raises what the last attempt raised: MinioException or
    urllib3's HTTPError; and ValueError for a name or an address that cannot be one.
    """
    with PoolManager(timeout=_TIMEOUT, retries=False) as pool:
        client = _client(place, pool)
        deadline = time.monotonic() + wait
        while True:
            try:
                return _make(client, place.bucket)
            except (MinioException, HTTPError) as error:
                if not _may_pass(error) or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)


def main() -> int:
    """Make the bucket of the environment's settings and return the exit code."""
    try:
        place = read_place(os.environ)
        made = ensure_bucket(place)
    except NotSaid as problem:
        print(problem, file=sys.stderr)
        return _UNCLEAR
    except (MinioException, HTTPError, ValueError) as error:
        print(f"The bucket {place.bucket} is not at {place.endpoint}, and could not be made: {error}", file=sys.stderr)
        return _FAILED
    print(f"The bucket {place.bucket} {'was made' if made else 'is there already'} at {place.endpoint}")
    return _MADE


def _required(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise NotSaid(f"{name} is not set")


def _client(place: Place, pool: PoolManager) -> Minio:
    address = urlsplit(place.endpoint)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise ValueError("FERRYMAN_S3_ENDPOINT must begin with http:// or https://")
    return Minio(
        address.netloc,
        place.access_key,
        place.secret_key,
        secure=address.scheme == "https",
        region=place.region,
        http_client=pool,
    )


def _make(client: Minio, bucket: str) -> bool:
    try:
        if client.bucket_exists(bucket):
            return False
    except S3Error:
        pass  # the answer to a HEAD has no words: the next one says what is wrong
    try:
        client.make_bucket(bucket)
    except S3Error as error:
        if error.code != "BucketAlreadyOwnedByYou":  # somebody made it in between
            raise
        return False
    return True


def _may_pass(error: Exception) -> bool:
    """Whether the same attempt may succeed in a moment: no connection, or a server that is not ready."""
    if isinstance(error, S3Error):
        return error.response.status == HTTPStatus.SERVICE_UNAVAILABLE
    return isinstance(error, (HTTPError, ServerError))


if __name__ == "__main__":
    sys.exit(main())
