"""Making the object, once: by one PUT or by Complete, whatever happened to an earlier attempt.

Both say `If-None-Match: *`. When there is something under the key already, it is ours if size and checksum are the
right ones: an attempt whose answer was lost, or that a crash kept from being recorded. Anything else under the key is
what an attempt of this upload with other bytes left (keys hold the upload's id): nobody was told of it, and it is
replaced, if it is still the one that was looked at.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_calls import Head
from ferryman_server.storage.s3_client import Body, S3Client
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_sums import Sums


class Make(Protocol):
    """One attempt to make the object."""

    def __call__(self, *, replaces: str | None) -> None:
        """Make it; in the place of the object with this ETag, if one is given. Raises S3Error."""


class PutOnce:
    """One PUT that makes the object, in the manner of :func:`make_once`; to be called until it succeeds."""

    def __init__(
        self,
        client: S3Client,
        key: str,
        body: Callable[[], Body],
        size: int,
        sums: Sums,
        headers: Mapping[str, str],
    ) -> None:
        """`body` is asked for with each attempt."""
        self._client = client
        self._key = key
        self._body = body
        self._size = size
        self._sums = sums
        self._headers = headers

    def __call__(self, still_ours: Callable[[], None] = lambda: None) -> None:
        """Make the object, or find that it is there. Raises S3Error."""
        make_once(self._client, self._key, self._size, self._sums, self._make, still_ours)

    def _make(self, *, replaces: str | None) -> None:
        body = self._body()
        s3_calls.put(self._client, self._key, body, self._size, self._sums, self._headers, replaces=replaces)


def is_it(found: Head, size: int, sums: Sums | None) -> bool:
    """Whether this object is the one that is to be made."""
    return found.size == size and (sums is None or found.has(sums))


def make_once(
    client: S3Client, key: str, size: int, sums: Sums | None, make: Make, still_ours: Callable[[], None] = lambda: None
) -> None:
    """Make the object under `key`, or find that it is there. `still_ours` raises when the right to write the upload has
    been passed on: it is asked before anything is replaced. Raises S3Error.

    `sums`: None where the server keeps none (a concatenation): then its parts are objects that stand still, and the
    size tells an object that was made of all of them.
    """
    try:
        make(replaces=None)
    except S3Error as error:
        if error.status not in (404, 412):  # 404: no such multipart upload (any more)
            raise
        found = s3_calls.head(client, key)
        if found is not None and is_it(found, size, sums):
            return
        if found is None or error.status != 412:
            raise
        still_ours()
        make(replaces=found.etag)
