"""What is made of uploads, as objects of a bucket: `<prefix>/.ferryman/derived/<place>`, each by one PUT.

The PUT replaces nothing that it has not looked at (:mod:`.s3_publishing`): where an object is already, and is not the
same, it takes the place of just that one.
"""

from collections.abc import Callable, Iterator
from functools import partial

from ferryman_server.media.derivatives import read_place
from ferryman_server.storage import s3_calls
from ferryman_server.storage.derived import Kept, checked_place, media_type_at
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_publishing import PutOnce
from ferryman_server.storage.s3_retry import again
from ferryman_server.storage.s3_sums import summed


class S3Derived:
    """Keeps them in a bucket. See :class:`ferryman_server.storage.derived.DerivedFiles` for what it promises."""

    def __init__(
        self,
        client: S3Client,
        names: Names,
        read: Callable[[str, int, int], Iterator[memoryview]],
        *,
        patience: float,
    ) -> None:
        """`read`: bytes [start, stop) of the object under a key, in pieces. `patience`: seconds that a server which is
        away is waited for."""
        self._client = client
        self._folder = names.derived
        self._read = read
        self._patience = patience

    def put(self, place: str, content: bytes) -> None:
        """Make the object. Raises StoreFull, StoreError."""
        headers = {"content-type": media_type_at(place)}
        put = PutOnce(self._client, self._key(place), lambda: content, len(content), summed([content]), headers)
        again(put, patience=self._patience)

    def read(self, place: str, start: int, stop: int) -> Iterator[memoryview]:
        """Yield bytes [start, stop); the connection is open while the iterator lives."""
        return self._read(self._key(place), start, stop)

    def size(self, place: str) -> int | None:
        """Bytes; None: there is no such object."""
        found = again(partial(s3_calls.head, self._client, self._key(place)), patience=self._patience)
        return None if found is None else found.size

    def free(self, place: str) -> None:
        """Delete the object."""
        again(partial(s3_calls.delete, self._client, self._key(place)), patience=self._patience)

    def places(self) -> Iterator[Kept]:
        """Walk it, page by page."""
        for listed in s3_calls.walk(self._client, self._folder, partial(again, patience=self._patience)):
            place = listed.key.removeprefix(self._folder)
            if read_place(place) is not None:
                yield Kept(place, listed.size, listed.modified_at)

    def tidy(self, now: float) -> int:
        """There are no half-made objects."""
        return 0

    def _key(self, place: str) -> str:
        return f"{self._folder}{checked_place(place)}"
