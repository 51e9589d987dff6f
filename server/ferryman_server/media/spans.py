"""Frames one behind the other, read from the archive in as few stretches as can be.

In an archive, frames mostly lie in their order with a header between them. Those that lie near each other are read at
once, headers and all, which are dropped: one request to an S3 server instead of hundreds. Where the next frame lies
before the last one, or far behind it, a new stretch begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.media.entries import Entry
from ferryman_server.media.piecing import Cutter, Piece, between, gathered
from ferryman_server.media.unpacking import unpacked
from ferryman_server.storage.base import Store

GAP: Final = 1 << 18  # bytes between two frames that are read in vain rather than by a request of their own
LEAST: Final = 1 << 18  # bytes that are handed over at once: each piece costs a turn of the event loop


@dataclass(frozen=True, slots=True)
class Span:
    """Entries that are read at once: bytes [start, stop) of the archive."""

    start: int
    stop: int
    entries: tuple[Entry, ...]  # in the order of their places


def spans(entries: Sequence[Entry]) -> Iterator[Span]:
    """The stretches in which entries are read, in their order."""
    held: list[Entry] = []
    for entry in entries:
        if held and not 0 <= entry.data - _end(held[-1]) <= GAP:
            yield _span(held)
            held = []
        held.append(entry)
    if held:
        yield _span(held)


def in_a_row(store: Store, upload_id: str, entries: Sequence[Entry], start: int, stop: int) -> Iterator[Piece]:
    """Bytes [start, stop) of the contents of these entries of a complete upload, one behind the other. Raises
    StoreError."""
    chosen, before = _touched(entries, start, stop)
    contents = (piece for span in spans(chosen) for piece in _contents(store, upload_id, span))
    yield from gathered(between(contents, start - before, stop - before), LEAST)


def _contents(store: Store, upload_id: str, span: Span) -> Iterator[Piece]:
    cutter, at = Cutter(store.read(upload_id, span.start, span.stop)), span.start
    for entry in span.entries:
        cutter.skip(entry.data - at)
        yield from unpacked(cutter.take(entry.packed), entry, upload_id)
        at = _end(entry)


def _touched(entries: Sequence[Entry], start: int, stop: int) -> tuple[list[Entry], int]:
    """Those that bytes [start, stop) of all contents lie in, and how many bytes come before them."""
    chosen, before, at = [], 0, 0
    for entry in entries:
        end = at + entry.size
        if end <= start:
            before = end
        elif at < stop:
            chosen.append(entry)
        at = end
    return chosen, before


def _span(entries: Sequence[Entry]) -> Span:
    return Span(entries[0].data, _end(entries[-1]), tuple(entries))


def _end(entry: Entry) -> int:
    return entry.data + entry.packed
