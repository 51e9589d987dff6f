"""From an archive's entries to its frames: which files they are, in which order, whether they are what they should be.

With a metadata.json the archive says that it holds frames, and what breaks a rule is refused. Without one it holds
frames only if nothing else can be meant (:mod:`ferryman_server.media.picture_sequence`); otherwise it is an ordinary
archive. docs/reference/frames.md has the rules in tables.

While entries pass, :func:`is_metadata` and :func:`may_be_frame` tell whose content is to be looked at. Which
metadata.json counts, :func:`find_metadata` tells when all have passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.media.archive_layout import (
    FRAMES,
    File,
    find_metadata,
    folder_of,
    is_metadata,
    lay_out,
    may_be_frame,
)
from ferryman_server.media.described_frames import BrokenRule, described_frames, fitting, in_order, listed_among
from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import Format, bytes_a_frame, ending_of, picture_format
from ferryman_server.media.metadata import MAX_METADATA, BadMetadata, Metadata, parse_metadata, shortened
from ferryman_server.media.picture_sequence import NoSequence, picture_sequence
from ferryman_server.media.picture_size import PictureSize

__all__ = [
    "INFERRED_FPS",
    "BadFrames",
    "FrameSet",
    "NotFrames",
    "find_metadata",
    "is_metadata",
    "judge",
    "may_be_frame",
    "provisional",
]

INFERRED_FPS: Final = 25.0  # frames a second, where nobody said


@dataclass(frozen=True, slots=True)
class FrameSet:
    """The frames of an archive."""

    format: Format
    width: int  # pixels
    height: int
    fps: float  # frames a second
    title: str | None
    frames: tuple[int, ...]  # entry numbers, in the order of the frames
    inferred: bool  # no metadata.json says so


@dataclass(frozen=True, slots=True)
class NotFrames:
    """An ordinary archive."""

    reason: str  # what stands against frames, and what would make it some


@dataclass(frozen=True, slots=True)
class BadFrames:
    """An archive of frames that breaks a rule."""

    reason: str
    entry: str | None = None  # the name of the one at fault
    field: str | None = None  # the one of metadata.json at fault, or that says otherwise


def judge(
    entries: Sequence[Entry], metadata: bytes | None, sizes: Mapping[int, PictureSize]
) -> FrameSet | NotFrames | BadFrames:
    """What a whole archive is.

    `metadata`: the content of :func:`find_metadata`'s entry; None when there is none, or it has more than MAX_METADATA
    bytes, or could not be read. `sizes`: what a Sizer told of the entries that may be frames, by entry number; of one
    that is missing there, that it is no picture.
    """
    layout = lay_out(entries)
    if layout.metadata is None:
        return _inferred(layout.files, sizes)
    path, entry = layout.metadata
    try:
        said = _read(entry, metadata)
        frames = described_frames(layout, said, sizes)
    except BadMetadata as bad:
        if not any(may_be_frame(file.path) for file in layout.files):  # it is some other tool's
            return NotFrames(f"Nothing in it could be a frame, and {shortened(path)} describes none: {bad.reason}")
        return BadFrames(f"{shortened(path)}: {bad.reason}", entry.name, bad.field)
    except BrokenRule as broken:
        return BadFrames(broken.reason, broken.entry, broken.field)
    return FrameSet(said.format, said.width, said.height, said.fps, said.title, tuple(_numbers(frames)), inferred=False)


def provisional(entries: Sequence[Entry], metadata: bytes | None) -> list[int]:
    """Of the entries of a running upload those that look like frames so far: their numbers, in natural order.

    `metadata` as for :func:`judge`, None while it has not come. Until then the largest group of files of one kind in
    one folder stands in, a folder called frames first.
    """
    layout = lay_out(entries)
    if layout.metadata is None or metadata is None:
        return _numbers(in_order(_likely(layout.files)))
    try:
        said = _read(layout.metadata.entry, metadata)
    except BadMetadata:
        return []
    files = fitting(layout, said.format)
    if isinstance(said.frames, tuple):
        files = listed_among(layout, files, said.frames)
    size = bytes_a_frame(said.format, said.width, said.height)
    return _numbers(in_order(file for file in files if size is None or file.entry.size == size))


def _read(entry: Entry, content: bytes | None) -> Metadata:
    if content is None:
        large = f"it has {entry.size} bytes; at most {MAX_METADATA} are taken"
        raise BadMetadata(None, large if entry.size > MAX_METADATA else "it could not be read again; send it once more")
    return parse_metadata(content)


def _inferred(files: list[File], sizes: Mapping[int, PictureSize]) -> FrameSet | NotFrames:
    try:
        size, frames = picture_sequence(files, sizes)
    except NoSequence as no:
        return NotFrames(f"There is no metadata.json, and {no}.")
    numbers = tuple(_numbers(frames))
    return FrameSet(size.format, size.width, size.height, INFERRED_FPS, None, numbers, inferred=True)


def _likely(files: list[File]) -> list[File]:
    groups: dict[tuple[str, Format | None], list[File]] = {}
    for file in files:
        if may_be_frame(file.path):
            groups.setdefault((folder_of(file.path), picture_format(ending_of(file.path))), []).append(file)
    if not groups:
        return []
    return groups[max(groups, key=lambda kind: (f"/{kind[0]}".endswith(f"/{FRAMES}"), len(groups[kind])))]


def _numbers(files: Iterable[File]) -> list[int]:
    return [file.entry.number for file in files]
