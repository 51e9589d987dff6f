"""The index of a ZIP file, made while its bytes come in: fed once, in order, in pieces of any size.

Theory of operation
-------------------

Every other reader begins at the end of an archive, at its directory. Here the end has not arrived yet, so the walker
goes from local header to local header, unpacks every entry's data once and compares their CRC-32 and size: an entry
is told as soon as its last byte is in. When the directory comes, it has to say the same (:mod:`zip_directory`). Until
then entries are provisional: an archive that is refused takes all of them back.

    local header → name, flags, method, sizes → data (:mod:`zip_bodies`) → descriptor → the next local header … →
    directory

- Nothing lies outside: an archive begins with a local header, or with the end record of an empty one, and between its
  parts there are no gaps.
- Memory: one small record, and what is known of the entries. No entry is held.
- Between two entries the walker's state is an offset and the entries: `Checkpoint`. Whoever has both goes on from there
  after a crash, or in another process; what lies behind the offset is fed again.
- Whatever is wrong is a :class:`BadArchive` in words of ours; no decoder's exception gets out, and a walker that has
  refused refuses everything that follows.

Source: APPNOTE.TXT 6.3.10; `reference/zip-frames.md` for what writers make and where readers differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from ferryman_server.media.entries import METHODS, STORED, Entry
from ferryman_server.media.zip_bodies import (
    Tally,
    Taste,
    compressed,
    compressed_to_its_end,
    skip_descriptor,
    stored,
    stored_to_its_end,
    too_large,
)
from ferryman_server.media.zip_directory import Directory
from ferryman_server.media.zip_errors import BadArchive, shown
from ferryman_server.media.zip_fields import AES, SENTINEL32, STRONG_ENCRYPTION, ZIP64, extra_fields, widened
from ferryman_server.media.zip_flags import DESCRIBED, check_flags
from ferryman_server.media.zip_headers import (
    CENTRAL,
    DESCRIPTOR,
    END,
    END64,
    EXTRA_DATA,
    LOCAL,
    LOCAL_SIZE,
    SPANNED,
    LocalHeader,
)
from ferryman_server.media.zip_names import UTF8, Names, check_name, decode_name
from ferryman_server.media.zip_source import Reading, Source
from ferryman_server.media.zip_unpackers import UNPACKERS

_APK: Final = "signed Android packages have a block there; they are legitimate files, but not taken here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an archive may bring. Stored data are bounded by the upload itself, so sizes count what is compressed."""

    entries: int = 100_000
    name_length: int = 1024  # bytes
    entry_size: int = 128 << 20  # bytes that one compressed entry may unpack to: a frame has at most 50 MB as BMP
    total_size: int = 32 << 30  # bytes that all of them may: a minute's work of a small machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Where a walker stands between two entries; with the entries before it, another one goes on from there."""

    offset: int = 0  # bytes: of the next local header, or of the directory
    entries: int = 0
    unpacked: int = 0  # bytes that have come out of compressed entries


class Coming(NamedTuple):
    """An entry whose header has been read, and whose data come next."""

    number: int
    name: str
    offset: int
    size: int | None  # bytes; None: its writer did not know
    method: int


_NEXT: Final = "the local header of entry"
Taster: TypeAlias = Callable[[Coming], Taste | None]


class Walker:
    """Walks one archive."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        taster: Taster = lambda coming: None,
        resume: Checkpoint | None = None,
        entries: Sequence[Entry] = (),
    ) -> None:
        """`taster` is asked about each entry for what hears its unpacked bytes; they are to be believed only once the
        entry was told. `resume` with the `entries` before it: feed goes on from that offset."""
        at = resume or Checkpoint()
        if len(entries) != at.entries:
            raise ValueError(f"{at.entries} entries lie before the checkpoint, and {len(entries)} were given")
        self._limits = limits or Limits()
        self._taster = taster
        self._entries = list(entries)
        self._names = Names()
        for entry in entries:
            self._names.add(entry.name)
        self._source = Source(at.offset)
        self._begins = at.offset  # the next entry
        self._unpacked = at.unpacked
        self._fresh: list[Entry] = []
        self._inside: str | LocalHeader = "its first local header"  # where the walk is, for people …
        self._open: str | None = None  # … and the entry it is in
        self._refused: BadArchive | None = None
        self._directory: Directory | None = None
        self._walk = self._archive()
        next(self._walk)

    @property
    def checkpoint(self) -> Checkpoint:
        """Behind the last whole entry."""
        return Checkpoint(offset=self._begins, entries=len(self._entries), unpacked=self._unpacked)

    @property
    def entries(self) -> Sequence[Entry]:
        """All entries so far, in the order in which they lie in the archive."""
        return self._entries

    @property
    def offset(self) -> int:
        """How many bytes of the archive have been fed."""
        return self._source.offset + self._source.held

    def feed(self, piece: bytes | bytearray | memoryview) -> list[Entry]:
        """The next bytes, at least one; the piece is not kept. Returns the entries that ended in it. Raises
        BadArchive."""
        if self._refused is not None:
            raise self._refused
        self._source.put(memoryview(piece))
        try:
            self._walk.send(None)
        except BadArchive as bad:
            self._refused = bad
            raise
        finally:
            self._source.hold()
        fresh, self._fresh = self._fresh, []
        return fresh

    def finish(self) -> Sequence[Entry]:
        """That was all of it: the entries, which are an archive. Raises BadArchive."""
        if self._refused is None and (self._directory is None or not self._directory.ended):
            self._refused = self._cut_off()
        if self._refused is not None:
            raise self._refused
        return self._entries

    def _cut_off(self) -> BadArchive:
        if isinstance(self._inside, LocalHeader):
            inside = _data_of(self._open or "", self._inside)
        else:
            inside = f"{self._inside} {len(self._entries) + 1}" if self._inside == _NEXT else self._inside
        where = f"the archive is cut off: it ends after {self.offset} bytes, in {inside}"
        return BadArchive(f"{where}; send the whole of it", entry=self._open)

    # -- the walk -----------------------------------------------------------------------------------------------------

    def _archive(self) -> Reading[None]:
        source = self._source
        yield  # for the first piece
        while True:
            signature = yield from source.peek(4)
            if signature != LOCAL:
                break
            yield from self._entry()
            self._inside = "what follows an entry"
        if not self._entries and signature != END:
            raise BadArchive(_no_archive(signature), offset=source.offset)
        if signature not in (CENTRAL, END, END64):
            raise _gap(signature, source.offset, self._entries[-1].name if self._entries else None)
        self._inside = "its directory or its end records"
        self._directory = Directory(source, self._entries, name_length=self._limits.name_length)
        yield from self._directory.read()

    def _entry(self) -> Reading[None]:
        source, number = self._source, len(self._entries)
        offset, name = source.offset, None
        self._inside = _NEXT
        try:
            if number >= self._limits.entries:
                raise BadArchive(f"the archive has more than {self._limits.entries} entries (zip_entries)")
            header = LocalHeader.of((yield from source.take(LOCAL_SIZE)))
            texts = yield from source.take(header.name_length + header.extra_length)
            raw, extra = texts[: header.name_length], texts[header.name_length :]
            fields = self._fields(raw, extra, header.flags)
            name = self._open = decode_name(raw, header.flags, fields, self._limits.name_length)
            self._inside = header
            self._check_header(header, fields, name)
            entry = yield from self._data(header, fields, number, name, offset)
        except BadArchive as bad:
            raise BadArchive(bad.reason, entry=bad.entry or name, offset=offset) from bad
        self._open = None
        self._entries.append(entry)
        self._fresh.append(entry)
        self._begins = source.offset
        self._unpacked += entry.size if entry.method != STORED else 0

    def _fields(self, raw: bytes, extra: bytes, flags: int) -> dict[int, bytes]:
        try:
            return extra_fields(extra)
        except BadArchive as bad:
            name = raw.decode("utf-8" if flags & UTF8 else "cp437", "replace")
            raise BadArchive(bad.reason, entry=name) from bad

    def _check_header(self, header: LocalHeader, fields: dict[int, bytes], name: str) -> None:
        check_name(name)
        self._names.add(name)
        check_flags(header.flags)
        if header.method == 99 or AES in fields or STRONG_ENCRYPTION in fields:
            raise BadArchive("it is encrypted: nothing here has the key; pack it without a password")
        if header.method not in METHODS:
            known = ", ".join(f"{number} ({how})" for number, how in METHODS.items())
            raise BadArchive(f"it is packed by method {header.method}, and only these are taken: {known}")
        if SENTINEL32 in (header.size, header.packed) and ZIP64 not in fields:
            raise BadArchive("its header leaves its size to a zip64 field, and there is none")

    def _data(
        self, header: LocalHeader, fields: dict[int, bytes], number: int, name: str, offset: int
    ) -> Reading[Entry]:
        source, described = self._source, bool(header.flags & DESCRIBED)
        wide = widened(fields, size=header.size, packed=header.packed)
        known = not described or wide.packed > 0
        data = source.offset
        tally = self._tally(Coming(number, name, offset, wide.size if known else None, header.method))
        packed = wide.packed
        if header.method == STORED:
            if known and wide.size != packed:
                raise BadArchive(f"it is stored, and its header says {packed} bytes packed and {wide.size} unpacked")
            yield from stored(source, packed, tally) if known else stored_to_its_end(source, tally)
            packed = tally.size
        elif known:
            yield from compressed(source, packed, UNPACKERS[header.method](tally.add))
        else:
            packed = yield from compressed_to_its_end(source, UNPACKERS[header.method](tally.add), tally)
        if described and known:
            yield from skip_descriptor(source, tally, packed)
        _compare(header, wide.size, tally, described=described)
        return Entry(number, name, offset, data, packed, tally.size, tally.crc, header.method, header.flags)

    def _tally(self, coming: Coming) -> Tally:
        taste = self._taster(coming)
        if coming.method == STORED:
            return Tally(None, taste)
        most = min(self._limits.entry_size, self._limits.total_size - self._unpacked)
        if coming.size is not None and coming.size > most:
            raise too_large(most)
        return Tally(most, taste)


def _data_of(name: str, header: LocalHeader) -> str:
    if header.flags & DESCRIBED and not header.packed and header.method == STORED:
        return (
            f"the data of {shown(name)}, whose size is not in its header: no descriptor was found that fits its bytes"
        )
    return f"the data of {shown(name)}"


def _compare(header: LocalHeader, size: int, tally: Tally, *, described: bool) -> None:
    """What the header said has to be what was found; 0 leaves it to the descriptor."""
    if size != tally.size and not (described and size == 0):
        raise BadArchive(f"its header says {size} bytes, and {tally.size} were found")
    if header.crc != tally.crc and not (described and header.crc == 0):
        raise BadArchive(
            f"its CRC-32 is {header.crc:08x} in its header, and its bytes have {tally.crc:08x}: they are damaged; pack "
            "or send it anew"
        )


def _no_archive(signature: bytes) -> str:
    if signature in (DESCRIPTOR, SPANNED):
        return "it is a part of an archive in several files, and those are not taken"
    if signature == EXTRA_DATA:
        return _encrypted_directory()
    return "no ZIP archive begins there: its first bytes are no local header; nothing may lie before it"


def _gap(signature: bytes, offset: int, name: str | None) -> BadArchive:
    if signature == EXTRA_DATA:
        return BadArchive(_encrypted_directory(), offset=offset)
    return BadArchive(
        f"behind it lies a gap: what stands at byte {offset} is neither a local header nor the directory, so some "
        f"readers stop there and others skip it ({_APK})",
        entry=name,
        offset=offset,
    )


def _encrypted_directory() -> str:
    return "its directory is encrypted: nothing here has the key; pack it without a password"
