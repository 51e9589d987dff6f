"""What an unfinished upload consists of in S3, as it is written in the state: its books.

    parts   of its multipart upload, acknowledged, behind each other from byte 0
    tails   immutable objects behind the last part, which will be put into the next one
    next    no part number below this one may be taken: it was used, or may have been

Everything else that lies there (parts that were never acknowledged, tails that were replaced) is rubbish, whatever it
holds: an object is made of what the books say only.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

from ferryman_server.digests import combine
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.ledger import Entry
from ferryman_server.storage.s3_sums import ALGORITHMS, Algorithm, Sums

LEAST_PART: Final = 8 << 20  # bytes of a part at least: S3 wants 5 MiB, small parts cost it more
LARGE_PART: Final = 16 << 20  # bytes of a part where bytes flow: half as many requests and commits
LARGEST_PART: Final = 5 << 30  # bytes (S3, "multipart upload limits"), as the next two
LARGEST_OBJECT: Final = 5 << 40
NUMBERS: Final = 10_000  # part numbers begin at 1
SPARE: Final = 1_000  # numbers that are not planned with: a crash leaves some taken by parts that do not count
_GRAIN: Final = 64 << 10  # bytes: sizes of parts are multiples of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Bytes [start, stop) of an upload, and their checksums by themselves."""

    start: int
    stop: int
    sums: Sums

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Part(Stretch):
    """An acknowledged part of a multipart upload."""

    number: int
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tail(Stretch):
    """An object that holds a stretch."""

    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Multipart:
    """A multipart upload."""

    id: str
    algorithm: Algorithm | None  # of the checksums that go with its parts; None: it was created without


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """The books of one upload."""

    upload: Multipart | None = None
    creating: bool = False  # there may be multipart uploads under its key whose ids nobody knows
    next: int = 1
    parts: tuple[Part, ...] = ()
    tails: tuple[Tail, ...] = ()
    whole: Sums | None = None  # of the object, where it was made of bytes that never were parts or tails

    @property
    def parts_end(self) -> int:
        """The offset behind the last part."""
        return self.parts[-1].stop if self.parts else 0

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """All there is, behind each other."""
        return (*self.parts, *self.tails)

    @property
    def end(self) -> int:
        """The offset behind everything."""
        return self.tails[-1].stop if self.tails else self.parts_end


def sums_of(stretches: Iterable[Stretch]) -> Sums:
    """The checksums of stretches that follow each other."""
    return reduce(lambda sums, stretch: sums.then(stretch.sums, stretch.size), stretches, Sums())


def crc_of(stretches: Iterable[Stretch], before: int = 0) -> int:
    """Our own of these alone, the CRC64/NVME, behind bytes whose own is `before`."""
    return reduce(lambda crc, stretch: combine(crc, stretch.sums.crc64, stretch.size), stretches, before)


# -- as notes ---------------------------------------------------------------------------------------------------------

UPLOAD: Final = "s3.upload"
CREATING: Final = "s3.creating"
NEXT: Final = "s3.next"
FREED: Final = "s3.freed"
WHOLE: Final = "s3.whole"
_PART: Final = "s3.part."
_TAIL: Final = "s3.tail."
_BARE: Final = "none"  # in the place of an algorithm


def upload_notes(upload: Multipart | None) -> dict[str, str | None]:
    """The note of the multipart upload; without one, it is taken back."""
    if upload is None:
        return {UPLOAD: None}
    return {UPLOAD: f"{upload.algorithm.name if upload.algorithm else _BARE} {upload.id}"}


def whole_notes(sums: Sums) -> dict[str, str | None]:
    """The note of the whole object's checksums."""
    return {WHOLE: _sums_text(sums)}


def part_note(part: Part) -> tuple[str, str]:
    """Name and value of the note of a part."""
    return f"{_PART}{part.number:05d}", f"{part.start} {part.stop} {_sums_text(part.sums)} {part.etag}"


def tail_note(tail: Tail) -> tuple[str, str]:
    """Name and value of the note of a tail."""
    return f"{_TAIL}{tail.key}", f"{tail.start} {tail.stop} {_sums_text(tail.sums)}"


def tail_keys(notes: Mapping[str, str]) -> frozenset[str]:
    """The keys of all tails in the notes of an upload, also where these do not fit together."""
    return frozenset(name.removeprefix(_TAIL) for name in notes if name.startswith(_TAIL))


def read_books(notes: Mapping[str, str]) -> Books:
    """The books from all notes of an upload. Raises ValueError when they do not fit together."""
    parts, tails = [], []
    for name, value in notes.items():
        if name.startswith(_PART):
            start, stop, sums, etag = value.split(" ", 3)
            number = int(name.removeprefix(_PART))
            parts.append(Part(start=int(start), stop=int(stop), sums=_read_sums(sums), number=number, etag=etag))
        elif name.startswith(_TAIL):
            start, stop, sums = value.split(" ")
            key = name.removeprefix(_TAIL)
            tails.append(Tail(start=int(start), stop=int(stop), sums=_read_sums(sums), key=key))
    parts.sort(key=lambda part: part.number)
    tails.sort(key=lambda tail: tail.start)
    at = 0
    for stretch in (*parts, *tails):
        if stretch.start != at or stretch.stop <= at:
            raise ValueError(f"bytes [{stretch.start}, {stretch.stop}) do not follow byte {at}")
        at = stretch.stop
    return Books(
        upload=_read_upload(notes.get(UPLOAD)),
        creating=CREATING in notes,
        next=int(notes.get(NEXT, "1")),
        parts=tuple(parts),
        tails=tuple(tails),
        whole=_read_sums(notes[WHOLE]) if WHOLE in notes else None,
    )


def changes(before: Books, after: Books) -> dict[str, str | None]:
    """The notes that make the one into the other."""
    notes: dict[str, str | None] = dict(part_note(part) for part in after.parts[len(before.parts) :])
    notes |= {tail_note(tail)[0]: None for tail in before.tails if tail not in after.tails}
    notes |= dict(tail_note(tail) for tail in after.tails if tail not in before.tails)
    return notes | upload_notes(after.upload) | {CREATING: "1" if after.creating else None, NEXT: str(after.next)}


def _read_upload(value: str | None) -> Multipart | None:
    if value is None:
        return None
    name, upload = value.split(" ", 1)
    if name != _BARE and name not in ALGORITHMS:
        raise ValueError(f"no checksum is called {name!r}")
    return Multipart(id=upload, algorithm=ALGORITHMS.get(name))


def _sums_text(sums: Sums) -> str:
    return f"{sums.crc64:016x}:{sums.crc32c:08x}"


def _read_sums(text: str) -> Sums:
    crc64, crc32c = text.split(":")
    return Sums(int(crc64, 16), int(crc32c, 16))


def books_of(entry: Entry) -> Books:
    """The books of an upload. Raises StoreError when they make no sense."""
    try:
        return read_books(entry.notes)
    except ValueError as error:
        raise StoreError(f"the notes of upload {entry.upload.id} are damaged: {error}") from error


# -- how large a part is ----------------------------------------------------------------------------------------------


def part_size(
    start: int, number: int, *, length: int | None, most: int = LARGEST_OBJECT, least: int = LEAST_PART
) -> int:
    """The size in bytes of the part that begins at `start` under `number`, so that the numbers never run out: neither
    before `length`, nor, when that is not known, before `most` bytes. `least` bytes where these will do; else known
    lengths have parts of one size, and of unknown ones they grow with what has come. Raises ValueError when there is no
    number left."""
    left = NUMBERS - number + 1
    if left < 1:
        raise ValueError("it has used up the 10,000 part numbers of a multipart upload")
    steps = max(1, left - SPARE)
    if length is not None:
        wanted = math.ceil((length - start) / steps)
    elif start == 0:
        wanted = 0
    else:
        wanted = math.ceil(start * math.expm1(math.log(max(most, start + 1) / start) / steps))
    whole = math.ceil(wanted / _GRAIN) * _GRAIN
    return min(max(whole, least), LARGEST_PART)
