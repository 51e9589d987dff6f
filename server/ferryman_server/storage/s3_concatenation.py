"""Final uploads in a bucket: finished partial ones behind each other, copied by the S3 server itself.

S3 copies ranges of objects as parts of a multipart upload, of 5 MiB at least (but for the last part) and 5 GiB at most.
What is smaller, and what fills a part up to 5 MiB, comes through us, and nothing else: a short source waits as a tail,
and is sent as one part together with the first bytes of those behind it.

MinIO refuses copies into a multipart upload that was created with a checksum algorithm ("checksum missing"). The final
one has none; its CRC64/NVME is combined from those of its sources, in its row (:mod:`ferryman_server.concatenation`).

One source at a time. Until its books are committed, each step is repeated after a crash: the same bytes under the same
numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_books import LARGEST_PART, NUMBERS, Books, Multipart, Part, Tail
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_sums import Sums, summed

T = TypeVar("T")

UNKNOWN: Final = Sums()  # of a part of an upload without checksums: nobody asks for them
LEAST: Final = 5 << 20  # bytes of a part that is not the last (S3, "multipart upload limits")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A finished partial upload."""

    key: str
    size: int  # bytes
    crc64: int


class Again(Protocol):
    """Repeats a request that fails in passing."""

    def __call__(self, request: Callable[[], T]) -> T:
        """What the request returns."""


class Concatenation:
    """Appends sources to one final upload. Raises S3Error, and StoreError when there are too many parts."""

    def __init__(
        self,
        client: S3Client,
        target: str,
        books: Books,
        *,
        begin: Callable[[], Multipart],
        new_tail: Callable[[int], str],
        again: Again,
    ) -> None:
        """`begin` creates the multipart upload; `new_tail` makes a key for a tail that begins at an offset."""
        self.books = books
        self._client = client
        self._target = target
        self._begin = begin
        self._new_tail = new_tail
        self._again = again

    def append(self, source: Source) -> None:
        """Put the source behind what is there, durably; `books` are to be committed then."""
        waiting = sum(tail.size for tail in self.books.tails)
        if waiting + source.size < LEAST:
            self._wait(source)
            return
        first = _first(waiting, source.size) if waiting else 0
        if first:
            self._fill(source, first)
        if first < source.size:
            self._copy(source, first)

    def _wait(self, source: Source) -> None:
        """It is too short for a part, and becomes a tail."""
        start, body = self.books.end, self._read(source, source.size)
        key, sums = self._new_tail(start), summed([body])
        if sums.crc64 != source.crc64:
            raise StoreError(f"the object {source.key} has not the bytes that were published")
        self._again(lambda: s3_calls.put(self._client, key, body, source.size, sums, {}))
        tail = Tail(start=start, stop=start + source.size, sums=sums, key=key)
        self.books = replace(self.books, tails=(*self.books.tails, tail))

    def _fill(self, source: Source, count: int) -> None:
        """What waits and the first `count` bytes of the source become a part."""
        body = self._read(source, count)
        tails, start, stop = self.books.tails, self.books.parts_end, self.books.end + count
        upload, number = self._upload(), self._number()

        def send() -> str:
            pieces = self._pieces(tails, body)
            return s3_calls.send_part(self._client, self._target, upload, number, pieces, stop - start, UNKNOWN)

        self._add(Part(start=start, stop=stop, sums=UNKNOWN, number=number, etag=self._again(send)))

    def _copy(self, source: Source, start: int) -> None:
        """The source from `start` on is copied, in ranges of about one size."""
        left = source.size - start
        count = -(-left // LARGEST_PART)
        for index in range(count):
            stop = source.size - left * (count - 1 - index) // count
            self._copy_range(source, start, stop)
            start = stop

    def _copy_range(self, source: Source, start: int, stop: int) -> None:
        upload, number, at = self._upload(), self._number(), self.books.end
        etag = self._again(
            lambda: s3_calls.copy_part(self._client, self._target, upload, number, source.key, start, stop)
        )
        self._add(Part(start=at, stop=at + stop - start, sums=UNKNOWN, number=number, etag=etag))

    def _add(self, part: Part) -> None:
        self.books = replace(self.books, parts=(*self.books.parts, part), tails=(), next=part.number + 1)

    def _upload(self) -> Multipart:
        if self.books.upload is None:
            self.books = replace(self.books, upload=self._begin(), creating=False)
        assert self.books.upload is not None
        return self.books.upload

    def _number(self) -> int:
        if self.books.next >= NUMBERS:  # one is left for what waits at the end
            raise StoreError(f"the parts of {self._target} do not fit into the {NUMBERS} of a multipart upload")
        return self.books.next

    def _read(self, source: Source, count: int) -> bytes:
        return self._again(lambda: b"".join(s3_calls.get(self._client, source.key, 0, count)))

    def _pieces(self, tails: tuple[Tail, ...], body: bytes) -> Iterator[bytes]:
        yield from s3_calls.get_all(self._client, tails)
        yield body


def _first(waiting: int, size: int) -> int:
    """How many bytes of a source go with those that wait: so many that they make a part, and all of it where the rest
    would make none."""
    least = LEAST - waiting
    return least if size - least >= LEAST else size
