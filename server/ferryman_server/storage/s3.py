"""Uploads in an S3 bucket (MinIO, AWS, …), without temporary files: bytes go from the socket into parts in memory and
from there into multipart uploads.

Configuration: a bucket and a prefix, an endpoint, keys and a region; how much memory parts may take; a template for the
keys of finished objects.

Permissions: the keys need s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload, ListBucket and
ListBucketMultipartUploads below the prefix.

Mechanism: what an unfinished upload consists of is kept by the state (:mod:`ledger`, :mod:`s3_books`), never asked of
the bucket. A finished upload is one object under a key for people (:mod:`s3_names`), and everything about it, its
checksum too, is at the object. :mod:`s3_writer` fills and sends parts, :mod:`s3_publishing` makes the object.

Trade-offs: bytes that are not in an acknowledged part or tail are lost with the process (at most the parts on their way
and one that fills, for each upload); unfinished uploads cannot be read; without its database a bucket's unfinished
uploads are rubbish, and its finished ones are taken in again by `ferryman gc --adopt`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from ferryman_protocol.model import ID_PATTERN, Phase, Upload
from ferryman_server.disposition import content_disposition, safe_media_type
from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError, Stray
from ferryman_server.storage.ledger import Copied, Entry, Label, Ledger, Tap
from ferryman_server.storage.s3_books import CREATING, Books, Multipart, Part, Tail, books_of, changes, sums_of
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_concatenation import Concatenation, Source
from ferryman_server.storage.s3_derived import S3Derived
from ferryman_server.storage.s3_errors import S3Error, telling_of_lost_parts
from ferryman_server.storage.s3_freeing import free, free_tails
from ferryman_server.storage.s3_identity import away, read_or_make_identity
from ferryman_server.storage.s3_labels import OWNER, label_of
from ferryman_server.storage.s3_links import Links
from ferryman_server.storage.s3_memory import Memory
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_numbers import Unused
from ferryman_server.storage.s3_publishing import PutOnce, is_it, make_once
from ferryman_server.storage.s3_quick import QuickPuts
from ferryman_server.storage.s3_reading import read_on
from ferryman_server.storage.s3_retry import PATIENCE, again
from ferryman_server.storage.s3_slices import Slices
from ferryman_server.storage.s3_strays import strays
from ferryman_server.storage.s3_sums import Sums, summed
from ferryman_server.storage.s3_taps import Taps
from ferryman_server.storage.s3_tidying import leftovers
from ferryman_server.storage.s3_traffic import Traffic
from ferryman_server.storage.s3_writer import S3Writer
from ferryman_server.storage.s3_yard import SENDERS, Order, Yard
from ferryman_server.threads import in_thread

READ: Final = 1 << 20  # bytes of a piece that `read` yields
LOW: Final = 16 << 20  # bytes: two parts' worth; where less is left, those that stand still are spilt

T = TypeVar("T")

_ID: Final = re.compile(ID_PATTERN)


class S3Store:
    """Keeps uploads in a bucket. See :class:`ferryman_server.storage.base.Store` for what it promises."""

    name: Final = "s3"

    def __init__(
        self,
        client: S3Client,
        names: Names,
        ledger: Ledger,
        *,
        memory: int,
        patience: float = PATIENCE,
        links: Links | None = None,
    ) -> None:
        """`memory`: bytes of the budget in which parts are filled. `patience`: seconds that they wait for a store that
        is away. `links`: where downloads are to come from the bucket itself."""
        self._client = client
        self._names = names
        self._ledger = ledger
        self._quick = QuickPuts(client)
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="ferryman-s3")
        self._traffic = Traffic()
        budget = Memory(memory, low=LOW)
        self._yard = Yard(
            client=client,
            ledger=ledger,
            memory=budget,
            slices=Slices(budget),
            senders=self._senders,
            traffic=self._traffic,
            names=names,
            unused=Unused(),
            taps=Taps(budget),
            patience=patience,
        )
        self._patience = min(patience, PATIENCE)
        self._links = links
        self._derived = S3Derived(client, names, self._object, patience=self._patience)
        self._store_id: str | None = None
        self._others: set[str] = set()  # prefixes of other stores below ours, as far as they were found

    # -- the store itself ---------------------------------------------------------------------------------------------

    def open(self, *, make: bool = True) -> None:
        """Find the bucket, and read the store's id; make it where there is none, if it may be made. Raises StoreError
        in words an operator understands."""
        try:
            self._store_id = self._again(lambda: read_or_make_identity(self._client, self._names.identity, make=make))
        except S3Error as error:
            raise away(self._client, error) from error

    def close(self) -> None:
        """Let what is on its way come to its end, and close the connections. What still waits to be deleted is left to
        the next walk through the store. Idempotent."""
        self._quick.close()
        self._senders.shutdown(cancel_futures=True)
        self._client.close()

    @property
    def store_id(self) -> str:
        """The id at `<prefix>/.ferryman/store.toml`, once the store is open."""
        if self._store_id is None:
            raise StoreError("the store is not open")
        return self._store_id

    @property
    def derived(self) -> S3Derived:
        """What is made of uploads."""
        return self._derived

    def target(self, upload: Upload, created_at: float) -> str:
        """The key that the upload's object will have."""
        return self._names.target(upload, created_at)

    # -- writing ------------------------------------------------------------------------------------------------------

    def noting_writer(
        self, upload_id: str, offset: int, fence: int, on_durable: Callable[[], None], ends_at: int | None = None
    ) -> S3Writer:
        """Open at `offset`, where the books end. Raises StoreError when they end elsewhere."""
        entry = self._known(upload_id)
        books = self._ending_at(entry, offset)
        upload = entry.upload
        order = Order(
            upload_id=upload_id,
            target=_target(entry),
            headers=_headers(upload),
            length=upload.length,
            fence=fence,
            on_durable=on_durable,
            ends_at=ends_at,
        )
        return S3Writer(self._yard, order, books)

    async def put_whole(self, upload: Upload, target: str, chunks: Sequence[bytes], fence: int) -> int:
        """Make the object of a content that is at hand as a whole; returns its CRC64/NVME."""
        size, sums = sum(map(len, chunks)), summed(chunks)
        fields = s3_calls.put_fields(self._client, _headers(upload), sums)
        if not await self._quick.put(target, chunks, size, fields):
            await in_thread(self._put_whole, upload, target, chunks, sums, fence)
        return sums.crc64

    def _put_whole(self, upload: Upload, target: str, chunks: Sequence[bytes], sums: Sums, fence: int) -> None:
        put = PutOnce(self._client, target, lambda: chunks, sum(map(len, chunks)), sums, _headers(upload))

        def still_ours() -> None:
            self._ledger.note(upload.id, {}, fence)

        again(lambda: put(still_ours), patience=self._yard.patience)

    def writer(self, upload_id: str, offset: int) -> S3Writer:
        """Open at `offset` without a lease."""
        return self.noting_writer(upload_id, offset, 0, _nobody)

    def tail(self, upload_id: str, offset: int) -> int:
        """What the books say, or -1 when they say nothing; asks nobody but the state."""
        entry = self._look_up(upload_id)
        if entry is None or entry.upload.phase is Phase.COMPLETE:
            return -1
        return books_of(entry).end or (0 if entry.notes else -1)

    def publish(self, upload_id: str, length: int) -> None:
        """Make the object of what the books say; may be repeated. Raises StoreError."""
        entry = self._known(upload_id)
        target, books = _target(entry), books_of(entry)
        if (books.tails or books.end < length) and self._is_there(target, length, _known_sums(entry, books)):
            return  # and nothing else of it, perhaps
        if books.end < length:
            raise StoreError(f"upload {upload_id} has {books.end} bytes, not {length}: some are missing")
        self._traffic.wait_for_quiet(upload_id)
        if books.upload is not None and books.parts:
            with telling_of_lost_parts(upload_id):
                whole = self._only_parts(books, books.upload, target)
                self._complete(whole, books.upload, target, length)
            if books.creating:  # what an earlier process had begun may have come late
                self._again(lambda: s3_calls.abort_all(self._client, target))
        else:
            if books.creating:
                self._again(lambda: s3_calls.abort_all(self._client, target))
            self._put(books, target, length, _headers(entry.upload))
        for tail in books.tails:
            s3_calls.delete(self._client, tail.key)

    # -- concatenation ------------------------------------------------------------------------------------------------

    def append_copy(self, upload_id: str, offset: int, source_id: str, length: int, fence: int) -> Copied:
        """Append the published source to the final upload; see :mod:`s3_concatenation`."""
        entry, part = self._known(upload_id), self._known(source_id)
        books = self._ending_at(entry, offset)
        if part.upload.phase is not Phase.COMPLETE or part.upload.offset != length:
            raise StoreError(f"upload {source_id} has not the {length} bytes that were published")

        def begin() -> Multipart:
            self._ledger.note(upload_id, {CREATING: "1"}, fence)
            self._traffic.wait_for_quiet(upload_id)
            if books.creating:
                self._again(lambda: s3_calls.abort_all(self._client, _target(entry)))
            return s3_calls.begin(self._client, _target(entry), _headers(entry.upload), checksums=False)

        final = Concatenation(
            self._client,
            _target(entry),
            books,
            begin=begin,
            new_tail=lambda start: self._names.new_tail(upload_id, start),
            again=self._again,
        )
        with telling_of_lost_parts(upload_id):
            final.append(Source(key=_target(part), size=length, crc64=part.crc64))
        rubbish = [tail.key for tail in books.tails if tail not in final.books.tails]
        return Copied(notes=changes(books, final.books), rubbish=rubbish)

    def drop(self, rubbish: Sequence[str]) -> None:
        """Delete objects that no books name any more."""
        for key in rubbish:
            with suppress(StoreError):
                s3_calls.delete(self._client, key)

    def _is_there(self, target: str, length: int, sums: Sums | None) -> bool:
        found = self._again(lambda: s3_calls.head(self._client, target))
        return found is not None and is_it(found, length, sums)

    def _complete(self, books: Books, upload: Multipart, target: str, length: int) -> None:
        sums = sums_of(books.parts)
        known = sums if upload.algorithm is not None else None

        def make(*, replaces: str | None) -> None:
            s3_calls.complete(self._client, target, upload, books.parts, sums, replaces=replaces)

        self._again(lambda: make_once(self._client, target, length, known, make))

    def _only_parts(self, books: Books, upload: Multipart, target: str) -> Books:
        """The books once what lies behind the last part has become one. Its number is free, or was taken for the same
        bytes by an attempt before this one."""
        if not books.tails:
            return books
        start, stop, sums = books.parts_end, books.end, sums_of(books.tails)

        def send() -> str:
            body = s3_calls.get_all(self._client, books.tails)
            return s3_calls.send_part(self._client, target, upload, books.next, body, stop - start, sums)

        last = Part(start=start, stop=stop, sums=sums, number=books.next, etag=self._again(send))
        return replace(books, parts=(*books.parts, last), tails=())

    def _put(self, books: Books, target: str, length: int, headers: dict[str, str]) -> None:
        tails = books.tails
        put = PutOnce(
            self._client, target, lambda: s3_calls.get_all(self._client, tails), length, sums_of(tails), headers
        )
        self._again(put)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """Yield bytes [start, stop) of the object, in pieces of at most 1 MiB; the connection is open while the
        iterator lives. With `published=False`, tails of an unfinished upload are read too; its parts cannot be."""
        entry = self._known(upload_id)
        tails = () if published else books_of(entry).tails
        return self._pieces(entry, tails, start, stop)

    def read_along(self, upload_id: str, tap: Tap | None) -> None:
        """Offer the upload's parts once they are committed; see :mod:`s3_taps`."""
        self._yard.taps.attach(upload_id, tap)

    def link(self, target: str) -> str | None:
        """A link to the object, if downloads are to come from the bucket itself."""
        return None if self._links is None else self._links.to(target)

    def _pieces(self, entry: Entry, tails: tuple[Tail, ...], start: int, stop: int) -> Iterator[memoryview]:
        if start >= stop:
            return
        if tails and tails[0].start <= start and stop <= tails[-1].stop:
            for tail in tails:
                first, last = max(start, tail.start), min(stop, tail.stop)
                if first < last:
                    yield from self._object(tail.key, first - tail.start, last - tail.start)
            return
        yield from self._object(_target(entry), start, stop)

    def _object(self, key: str, start: int, stop: int) -> Iterator[memoryview]:
        try:
            for piece in read_on(self._client, key, start, stop, READ, patience=self._patience):
                yield memoryview(piece)
        except S3Error as error:
            if error.status == 404:
                raise StoreError(f"the object {key} is missing") from error
            if error.status == 416:
                raise StoreError(f"the object {key} has not the {stop} bytes that it should have") from error
            raise

    # -- freeing ------------------------------------------------------------------------------------------------------

    def discard(self, upload_id: str, *, published: bool = False) -> None:
        """Free what the upload has in the bucket; its object only when told so, or while the upload is not complete."""
        entry = self._look_up(upload_id)
        self._traffic.wait_for_quiet(upload_id)
        if entry is None:
            self._again(lambda: free_tails(self._client, self._names, upload_id))
        else:
            self._again(lambda: free(self._client, self._ledger, entry, published=published))

    def strays(self) -> Iterator[Stray]:
        """Walk everything below the prefix that is named like an upload's."""
        return strays(self._client, self._names, self._others, patience=self._patience)

    def leftovers(self, upload_id: str, pieces: Sequence[Stray]) -> Sequence[Stray]:
        """Those tails of an upload that it does not consist of any more."""
        return leftovers(self._look_up(upload_id), pieces)

    def label(self, stray: Stray) -> Label | None:
        """What a published object says about itself; None: it is gone, or is another store's."""
        key = _key(stray)
        if key.startswith(tuple(self._others)):
            return None
        return self._again(lambda: label_of(self._client, self._names, key))

    def contents(self, stray: Stray) -> Iterator[memoryview]:
        """All bytes of a published object."""
        return self._object(_key(stray), 0, stray.size)

    def remove(self, stray: Stray) -> None:
        """Delete an object or a tail, whatever the books say. May be repeated."""
        key = _key(stray)
        self._again(lambda: s3_calls.delete(self._client, key))

    def free_bytes(self) -> int | None:
        """Nobody can tell."""
        return None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _again(self, request: Callable[[], T]) -> T:
        return again(request, patience=self._patience)

    def _look_up(self, upload_id: str) -> Entry | None:
        if _ID.fullmatch(upload_id) is None:
            raise ValueError(f"not an upload id: {upload_id!r}")
        return self._ledger.look_up(upload_id)

    def _known(self, upload_id: str) -> Entry:
        entry = self._look_up(upload_id)
        if entry is None:
            raise StoreError(f"upload {upload_id} is missing")
        return entry

    def _ending_at(self, entry: Entry, offset: int) -> Books:
        """The books, which must end at the offset that was acknowledged."""
        books = books_of(entry)
        if books.end != offset:
            raise StoreError(f"upload {entry.upload.id} has {books.end} bytes, but {offset} were acknowledged")
        return books


def _known_sums(entry: Entry, books: Books) -> Sums | None:
    """The checksums by which the upload's object is known; None: by its size alone."""
    copied = books.upload is not None and books.upload.algorithm is None  # see s3_concatenation
    if copied or entry.upload.phase is Phase.COMPLETE:  # its books are gone
        return None
    return books.whole or sums_of(books.stretches)


def _target(entry: Entry) -> str:
    if entry.target is None:
        raise StoreError(f"upload {entry.upload.id} has no key: it was made for another store")
    return entry.target


def _key(stray: Stray) -> str:
    assert stray.place is not None
    return stray.place


def _headers(upload: Upload) -> dict[str, str]:
    """What the object says about itself."""
    headers = {
        "content-type": safe_media_type(upload.content_type),
        "content-disposition": content_disposition("attachment", upload.filename),
        OWNER: upload.id,
    }
    if upload.content_encoding is not None:
        headers["content-encoding"] = upload.content_encoding
    return headers


def _nobody() -> None:
    """Nobody is told."""
