"""The end of an archive: its directory and end records, held against the entries that were walked.

Theory: readers find an archive's entries from its end, the walker has found them from its beginning. An archive that
both read alike has one directory that lists just the entries that are there, each once, with the same name and the
same numbers, and one end record, which points at it. So (reference: 2,136 archives, nine readers):

- Every directory entry is matched with an entry by its offset; name, flags, method, CRC-32 and sizes have to be the
  same.
- Behind the directory's beginning no signature of an end record may stand but those that are read here: not in a
  comment, not in a name, not behind the end. Readers that search from the back would take it.
- The zip64 end record has its exact size; what the end record says is the same, or left to it.
- Behind the end record only NULs may follow (bsdtar fills its last block with them), as many as readers search.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ferryman_server.media.entries import Entry
from ferryman_server.media.zip_errors import BadArchive, shown
from ferryman_server.media.zip_fields import SENTINEL16, SENTINEL32, extra_fields, widened
from ferryman_server.media.zip_flags import differing
from ferryman_server.media.zip_headers import (
    CENTRAL,
    CENTRAL_SIZE,
    END,
    END64,
    END64_SIZE,
    END_SIZE,
    LOCATOR64,
    LOCATOR64_SIZE,
    SIGNATURE,
    CentralHeader,
    EndRecord,
    EndRecord64,
    Locator64,
)
from ferryman_server.media.zip_kinds import check_kind
from ferryman_server.media.zip_names import decode_name
from ferryman_server.media.zip_source import Reading, Source

SEARCHED: Final = 65_535  # bytes behind the end record: readers look no farther from the end of the file
_ENDS: Final = (END, END64, LOCATOR64)


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the directory lies."""

    start: int  # bytes
    size: int
    entries: int


class Directory:
    """Reads and checks everything behind the last entry."""

    def __init__(self, source: Source, entries: Iterable[Entry], *, name_length: int) -> None:
        self._source = source
        self._left = {entry.offset: entry for entry in entries}  # not listed yet
        self._seen: dict[int, str] = {}
        self._name_length = name_length
        self.ended = False  # the end record has been read

    def read(self) -> Reading[None]:
        """Read to the end of the input; whoever gives it says when that is. Raises BadArchive."""
        extent = yield from self._listed()
        wide = yield from self._end64(extent)
        yield from self._end(extent, wide)

    # -- the directory ------------------------------------------------------------------------------------------------

    def _listed(self) -> Reading[Extent]:
        source, start, count = self._source, self._source.offset, 0
        while (yield from source.peek(4)) == CENTRAL:
            offset = source.offset
            header = CentralHeader.of((yield from source.take(CENTRAL_SIZE)))
            texts = yield from source.take(header.name_length + header.extra_length + header.comment_length)
            self._check(header, texts, offset)
            count += 1
        if self._left:
            entry = min(self._left.values(), key=lambda entry: entry.offset)
            raise BadArchive(
                "it is in the archive, but not in its directory: readers differ in whether they see it",
                entry=entry.name,
                offset=entry.offset,
            )
        return Extent(start, source.offset - start, count)

    def _check(self, header: CentralHeader, texts: bytes, offset: int) -> None:
        raw, name = texts[: header.name_length], ""
        extra, comment = texts[header.name_length :][: header.extra_length], texts[-header.comment_length :]
        try:
            name = raw.decode("utf-8", "replace")
            fields = extra_fields(extra)
            wide = widened(fields, size=header.size, packed=header.packed, offset=header.offset, disk=header.disk)
            name = decode_name(raw, header.flags, fields, self._name_length)
            if header.comment_length:
                _no_end_in(comment, "its comment")
            if extra:
                _no_end_in(extra, "its extra field in the directory")
            if wide.disk:
                raise BadArchive(f"it lies on disk {wide.disk}: archives in several files are not taken")
            entry = self._found(name, wide.offset, header.flags)
            _same(entry, header, packed=wide.packed, size=wide.size)
            check_kind(name, header.made_by, header.external, entry.size)
        except BadArchive as bad:
            raise BadArchive(bad.reason, entry=bad.entry or name, offset=offset) from bad

    def _found(self, name: str, offset: int, flags: int) -> Entry:
        entry = self._left.pop(offset, None)
        if entry is None:
            if offset in self._seen:
                raise BadArchive(
                    f"the directory lists the entry at byte {offset} twice, also as {shown(self._seen[offset])}"
                )
            raise BadArchive(
                f"the directory says that its local header has the offset {offset}, and no entry begins there"
            )
        if entry.flags != flags:
            raise BadArchive(f"{differing(entry.flags ^ flags)} differs between the directory and its local header")
        if entry.name != name:
            raise BadArchive(
                f"the directory gives it this name, and its local header, at byte {offset}, another one: "
                f"{shown(entry.name)}; readers differ"
            )
        self._seen[offset] = name
        return entry

    # -- what comes behind it -----------------------------------------------------------------------------------------

    def _end64(self, extent: Extent) -> Reading[EndRecord64 | None]:
        source = self._source
        if (yield from source.peek(4)) != END64:
            return None
        offset = source.offset
        raw = yield from source.take(END64_SIZE)
        record = EndRecord64.of(raw)
        if record.record_size != END64_SIZE - 12:
            raise BadArchive(
                f"the zip64 end record says a size of {record.record_size}, and has to say {END64_SIZE - 12}: it is "
                "wrong, or it holds extensible data, which readers understand differently",
                offset=offset,
            )
        if (record.disk, record.directory_disk) != (0, 0):
            raise BadArchive("the zip64 end record speaks of several disks: they are not taken", offset=offset)
        _no_end_in(raw[4:], "the zip64 end record", offset)
        for what, said, found in (
            ("entries on this disk", record.here, extent.entries),
            ("entries", record.entries, extent.entries),
            ("bytes of directory", record.size, extent.size),
            ("as the directory's offset", record.offset, extent.start),
        ):
            _demand_equal("the zip64 end record", what, said, found, offset)
        yield from self._locator(offset)
        return record

    def _locator(self, end64: int) -> Reading[None]:
        source, offset = self._source, self._source.offset
        if (yield from source.peek(4)) != LOCATOR64:
            raise BadArchive("the zip64 end record is not followed by its locator", offset=offset)
        raw = yield from source.take(LOCATOR64_SIZE)
        locator = Locator64.of(raw)
        if locator.offset != end64:
            raise BadArchive(
                f"the zip64 locator points at byte {locator.offset}, and the record lies at byte {end64}", offset=offset
            )
        if locator.disk or locator.disks > 1:
            raise BadArchive("the zip64 locator speaks of several disks: they are not taken", offset=offset)
        _no_end_in(raw[4:], "the zip64 locator", offset)

    def _end(self, extent: Extent, wide: EndRecord64 | None) -> Reading[None]:
        source, offset = self._source, self._source.offset
        signature = yield from source.peek(4)
        if signature == SIGNATURE:
            raise BadArchive("the directory has a digital signature, which nobody here can check", offset=offset)
        if signature != END:
            raise BadArchive(_not_an_end(signature), offset=offset)
        raw = yield from source.take(END_SIZE)
        record = EndRecord.of(raw)
        comment = yield from source.take(record.comment_length)
        _no_end_in(raw[4:] + comment, "the archive's comment", offset)
        _check_end(record, extent, wide, offset)
        self.ended = True
        yield from self._nothing_behind(SEARCHED - record.comment_length)

    def _nothing_behind(self, most: int) -> Reading[None]:
        source, start = self._source, self._source.offset
        while True:
            piece = bytes((yield from source.some()))
            stray = len(piece) - len(piece.lstrip(b"\0"))
            if stray < len(piece):
                raise BadArchive(
                    "something follows the end record, and nothing may: some readers take it for part of the archive",
                    offset=source.offset + stray,
                )
            source.skip(len(piece))
            if source.offset - start > most:
                raise BadArchive(
                    f"more than {most} NULs follow the end record: readers would not find it", offset=start
                )


def _same(entry: Entry, header: CentralHeader, *, packed: int, size: int) -> None:
    """What the directory says of an entry has to be what was found."""
    if (header.method, header.crc, packed, size) == (entry.method, entry.crc, entry.packed, entry.size):
        return
    for what, said, found in (
        ("compression method", header.method, entry.method),
        ("packed size", packed, entry.packed),
        ("size", size, entry.size),
    ):
        if said != found:
            raise BadArchive(f"the directory says {said} as its {what}, and found was {found}")
    raise BadArchive(f"the directory says {header.crc:08x} as its CRC-32, and its bytes have {entry.crc:08x}")


def _check_end(record: EndRecord, extent: Extent, wide: EndRecord64 | None, offset: int) -> None:
    if (record.disk, record.directory_disk) != (0, 0) and not (
        wide is not None and {record.disk, record.directory_disk} <= {0, SENTINEL16}
    ):
        raise BadArchive(
            "the end record speaks of several disks: archives in several files are not taken", offset=offset
        )
    for what, said, found, limit in (
        ("entries on this disk", record.here, extent.entries, SENTINEL16),
        ("entries", record.entries, extent.entries, SENTINEL16),
        ("bytes of directory", record.size, extent.size, SENTINEL32),
        ("as the directory's offset", record.offset, extent.start, SENTINEL32),
    ):
        if wide is None or said != limit:
            _demand_equal("the end record", what, said, found, offset)


def _demand_equal(record: str, what: str, said: int, found: int, offset: int) -> None:
    if said != found:
        raise BadArchive(f"{record} says {said} {what}, and found were {found}", offset=offset)


def _no_end_in(data: bytes, where: str, offset: int | None = None) -> None:
    for signature in _ENDS:
        if signature in data:
            raise BadArchive(
                f"{where} holds the signature of an end record (PK\\{signature[2]}\\{signature[3]}): readers that "
                "search from the back would take it for the archive's end",
                offset=offset,
            )


def _not_an_end(signature: bytes) -> str:
    if signature == LOCATOR64:
        return "there is a zip64 locator without its end record"
    return "behind the directory there has to be an end record, and there is something else"
