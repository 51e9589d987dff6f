"""Reading an object for somebody who has seen its beginning: where an answer breaks off, it is read on from there."""

from collections.abc import Iterator
from functools import partial

from ferryman_server.storage.s3_client import Opened, S3Client
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_retry import again


def read_on(client: S3Client, key: str, start: int, stop: int, piece: int, *, patience: float) -> Iterator[bytes]:
    """The bytes [start, stop) of one and the same object, in pieces of at most `piece` bytes.

    What is wrong before the first of them is raised at once: nobody was told anything. Behind it, a server that is away
    is waited for, up to `patience` seconds each time. Raises S3Error; closing the iterator early closes the connection.
    """
    if start >= stop:
        return
    opened, data = _from(client, key, start, stop, piece, None)
    etag = opened.etag
    try:
        yield data
        while opened.left:
            try:
                data = opened.read(piece)
            except S3Error:
                at = stop - opened.left
                opened.close()
                opened, data = again(partial(_from, client, key, at, stop, piece, etag), patience=patience)
            yield data
    finally:
        opened.close()


def _from(client: S3Client, key: str, at: int, stop: int, piece: int, etag: str | None) -> tuple[Opened, bytes]:
    """The object from a byte on, and its first piece: a server that answers and breaks off at once is not there."""
    opened = client.open(key, at, stop, etag=etag)
    try:
        return opened, opened.read(piece)
    except S3Error:
        opened.close()
        raise
