"""Making the object, once: by one PUT or by Complete, whatever happened to an earlier attempt.

Both say `If-None-Match: *`. When there is something under the key already, it is ours if size and CRC64/NVME are the
right ones: an attempt whose answer was lost, or that a crash kept from being recorded. Anything else under the key is
what an attempt of this upload with other bytes left (keys hold the upload's id): nobody was told of it, and it is
replaced, if it is still the one that was looked at.
"""

from collections.abc import Callable
from typing import Protocol

from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_errors import S3Error


class Make(Protocol):
    """One attempt to make the object."""

    def __call__(self, *, replaces: str | None) -> None:
        """Make it; in the place of the object with this ETag, if one is given. Raises S3Error."""


def make_once(
    client: S3Client, key: str, size: int, crc64: int, make: Make, still_ours: Callable[[], None] = lambda: None
) -> None:
    """Make the object under `key`, or find that it is there. `still_ours` raises when the right to write the upload has
    been passed on: it is asked before anything is replaced. Raises S3Error."""
    try:
        make(replaces=None)
    except S3Error as error:
        if error.status not in (404, 412):  # 404: no such multipart upload (any more)
            raise
        found = s3_calls.head(client, key)
        if found is not None and found.size == size and found.crc64 == crc64:
            return
        if found is None or error.status != 412:
            raise
        still_ours()
        make(replaces=found.etag)
