"""The frames of a medium as plain files, for players that read a folder.

    DIR/metadata.json       what they are (docs/reference/metadata.schema.json), and that they are ours
    DIR/frames/00000.rgb    raw frames; pictures end in .png, .jpg or .webp

Frames are written as they are, or each as another kind of picture. They are read one behind the other in large pieces,
and held against their CRC-32. The folder appears as a whole, or not at all (:mod:`.atomic_folder`).
"""

import asyncio
import errno
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isal import isal_zlib

from ferryman_server.humane import human_size
from ferryman_server.media.archive_layout import METADATA
from ferryman_server.media.atomic_folder import replaced
from ferryman_server.media.entries import Entry
from ferryman_server.media.extracted import FRAMES, metadata_json, not_ours
from ferryman_server.media.frame_formats import BYTES_A_PIXEL, Format
from ferryman_server.media.picture_rules import BadPicture, PicturesMissing
from ferryman_server.media.pictures import Target, convert
from ferryman_server.media.piecing import Cutter, Piece
from ferryman_server.media.spans import in_a_row
from ferryman_server.state.library import Library
from ferryman_server.state.media import Medium
from ferryman_server.storage.base import Store
from ferryman_server.storage.syscalls import write_back_call

AT_ONCE: Final = 2000  # frames that are asked of the library at once
DIGITS: Final = 5  # of a frame's number at least
SPARE: Final = 1 << 20  # bytes: for folders, metadata.json, and what a file system writes besides

_TARGETS: Final[Mapping[str, Target]] = {"png": "png", "jpg": "jpeg"}
_ENDINGS: Final = {Format.PNG: ".png", Format.JPEG: ".jpg", Format.WEBP: ".webp"}  # raw frames: .rgb
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ExtractionFailed(Exception):
    """The frames were not extracted; what was there before is as it was. `str()` says why, and what to do."""


class NoRoom(ExtractionFailed):
    """The disk would be full: nothing was begun."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """What is extracted from where to where."""

    store: Store
    store_id: str
    medium: Medium
    entries: Sequence[Entry]  # of all its frames, in order
    folder: Path
    to: Target | None = None  # None: frames are written as they are
    durable: bool = True

    @property
    def format(self) -> Format:
        """What the files are."""
        return Format(self.to or self.medium.format or "")

    def name(self, n: int) -> str:
        """The name of a frame's file."""
        digits = max(DIGITS, len(str(len(self.entries) - 1)))
        return f"{n:0{digits}}{_ENDINGS.get(self.format, '.rgb')}"

    def steps(self) -> Generator[int]:
        """Extract, and tell after each frame how many are written; the folder is there when nothing more is told. Who
        closes this before leaves everything as it was.

        Raises ExtractionFailed, FolderRefused, and StoreError where the archive cannot be read."""
        with _in_words(self.folder), replaced(self.folder, not_ours, durable=self.durable) as fresh:
            self._demand_room(fresh)
            frames = fresh / FRAMES
            frames.mkdir()
            with closing(self._contents()) as contents:
                for n, content in enumerate(contents):
                    _write(frames / self.name(n), content)
                    yield n + 1
            said = metadata_json(self.medium, self.format, len(self.entries), self.store_id)
            _write(fresh / METADATA, [said])

    def _contents(self) -> Generator[Iterable[Piece]]:
        """Each frame, to be read to its end before the next one."""
        size = sum(entry.size for entry in self.entries)
        cutter = Cutter(in_a_row(self.store, self.medium.upload_id, self.entries, 0, size))
        for n, entry in enumerate(self.entries):
            plain = self._whole(n, entry, cutter.take(entry.size))
            yield plain if self.to is None else [self._picture(n, b"".join(plain))]

    def _whole(self, n: int, entry: Entry, pieces: Iterable[Piece]) -> Iterator[Piece]:
        crc = 0
        for piece in pieces:
            crc = isal_zlib.crc32(piece, crc)
            yield piece
        if crc != entry.crc:
            raise ExtractionFailed(
                f"frame {n} is not what was uploaded: it is damaged in the store. ferryman doctor --verify looks for "
                "all that is"
            )

    def _picture(self, n: int, content: bytes) -> bytes:
        assert self.to is not None
        medium = self.medium
        try:
            return convert(content, Format(medium.format or ""), medium.width or 0, medium.height or 0, self.to)
        except BadPicture as bad:
            raise ExtractionFailed(f"frame {n} cannot be converted: {bad.reason}") from bad
        except PicturesMissing as missing:
            raise ExtractionFailed(str(missing)) from missing

    def _demand_room(self, fresh: Path) -> None:
        """What pictures will take is not known before they are made."""
        disk = os.statvfs(fresh)
        free = disk.f_bavail * disk.f_frsize
        needed = sum(-(-entry.size // disk.f_frsize) * disk.f_frsize for entry in self.entries) + SPARE
        if self.to is None and needed > free:
            raise NoRoom(
                f"{self.folder} needs {human_size(needed)} until the old one is gone, and {human_size(free)} are free "
                "there: make room"
            )
        if disk.f_files and disk.f_favail < len(self.entries) + 3:
            raise NoRoom(f"the disk of {self.folder} takes only {disk.f_favail} files more: remove some")


async def extracted(extraction: Extraction, pool: Executor) -> None:
    """Extract in a thread. One who is cancelled leaves everything as it was, and waits for that. Raises what `steps`
    does."""
    running = _Running(extraction)
    work = asyncio.get_running_loop().run_in_executor(pool, running.run)
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        running.stopped = True
        await asyncio.wait([work])
        work.exception()  # nobody wants to know any more
        raise


async def entries_of(library: Library, medium: Medium) -> list[Entry]:
    """The entries of all its frames, in order. Raises ExtractionFailed where it has none, and StateError."""
    if medium.kind != "frames" or not medium.frames:
        raise ExtractionFailed(f"{medium.slug} is of kind {medium.kind}: it holds no frames")
    entries: list[Entry] = []
    while len(entries) < medium.frames:
        rows = await library.frames_of(medium.upload_id, len(entries), len(entries) + AT_ONCE)
        if not rows or rows[0].generation != medium.generation:
            raise ExtractionFailed(f"{medium.slug} is being indexed anew: try again in a moment")
        entries += [row.indexed.entry for row in rows]
    return entries


def target_for(medium: Medium, wanted: str | None) -> Target | None:
    """What a medium's frames are to become: `raw` and None leave them as they are. Raises ExtractionFailed where they
    cannot be `raw`."""
    if wanted == "raw" and Format(medium.format or "") not in BYTES_A_PIXEL:
        raise ExtractionFailed(f"the frames of {medium.slug} are {medium.format} pictures, not raw: leave --format out")
    target = _TARGETS.get(wanted or "raw")
    return None if target == medium.format else target


def _write(path: Path, content: Iterable[Piece]) -> None:
    with open(path, "xb") as file:
        for piece in content:
            file.write(piece)
        file.flush()
        if _begin_to_store is not None:
            _begin_to_store(file.fileno(), 0, 0)  # to its end: so that the sync of all files has little left to do


_begin_to_store: Final = write_back_call()


class _Running:
    """An extraction in its thread."""

    def __init__(self, extraction: Extraction) -> None:
        self._extraction = extraction
        self.stopped = False

    def run(self) -> None:
        with closing(self._extraction.steps()) as steps:
            for _ in steps:
                if self.stopped:
                    break


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """What the system refuses, in words; the store has words of its own."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ExtractionFailed(f"the disk of {folder} is full: make room") from error
        if error.errno == errno.EBUSY:  # of a mount that looks like any other folder
            raise ExtractionFailed(f"{folder} is mounted there, it cannot be replaced: name a folder in it") from error
        raise ExtractionFailed(f"{folder} cannot be written: {error.strerror or error}") from error
