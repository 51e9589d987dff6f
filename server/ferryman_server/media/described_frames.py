"""The frames that a metadata.json describes: found among an archive's files, put in order, held against what it says.

Frames are the files in frames/ beside it whose ending belongs to the format; without such a folder, those beside it.
Files with other endings, and in other folders, are left alone: sound, a README, previews.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ferryman_server.media.archive_layout import FRAMES, File, Layout, folder_of, place
from ferryman_server.media.frame_formats import BYTES_A_PIXEL, ENDINGS, Format, bytes_a_frame, ending_of
from ferryman_server.media.metadata import Metadata, shortened
from ferryman_server.media.natural_order import natural_key
from ferryman_server.media.picture_size import PictureSize

_MOST_TOLD: Final = 4  # of the endings that were found


class BrokenRule(Exception):
    """The frames are not what the metadata.json says; `str()` says what is wrong."""

    def __init__(self, reason: str, *, entry: str | None = None, field: str | None = None) -> None:
        """`entry`: the name of the one at fault; `field`: the one of metadata.json that does not fit."""
        self.reason = reason
        self.entry = entry
        self.field = field
        super().__init__(reason)


def described_frames(layout: Layout, metadata: Metadata, sizes: Mapping[int, PictureSize]) -> list[File]:
    """The frames in order; `sizes` by entry number. Raises BrokenRule."""
    files = fitting(layout, metadata.format)
    if not files:
        raise BrokenRule(_none_fit(layout, metadata.format), field="format")
    match metadata.frames:
        case tuple() as names:
            files = _listed(layout, files, names)
        case int() as count if count != len(files):
            where = f"{place(layout.folder)} holds {len(files)}"
            raise BrokenRule(
                f"frames says {count}, and {where} that end in {_endings(metadata.format)}", field="frames"
            )
        case _:
            files = in_order(files)
    if metadata.format in BYTES_A_PIXEL:
        _check_bytes(files, metadata)
    else:
        _check_pictures(files, metadata, sizes)
    return files


def fitting(layout: Layout, form: Format) -> list[File]:
    """The files that are frames by their place and ending."""
    start, endings = len(layout.folder), ENDINGS[form]
    return [
        file
        for file in layout.files
        if file.path.startswith(layout.folder) and "/" not in file.path[start:] and ending_of(file.path) in endings
    ]


def listed_among(layout: Layout, files: Iterable[File], names: Iterable[str]) -> list[File]:
    """Those of the files that a metadata.json lists, as they stand."""
    listed = {_bare(layout, name) for name in names}
    return [file for file in files if _bare(layout, file.path) in listed]


def in_order(files: Iterable[File]) -> list[File]:
    """The files in natural order."""
    return sorted(files, key=lambda file: natural_key(file.path))


def _listed(layout: Layout, files: list[File], names: tuple[str, ...]) -> list[File]:
    there = {_bare(layout, file.path): file for file in files}
    frames: dict[str, File] = {}
    for name in names:
        bare = _bare(layout, name)
        if bare in frames:
            raise BrokenRule(f"frames lists '{shortened(name)}' twice; each file is expected once", field="frames")
        if bare not in there:
            raise BrokenRule(_not_there(layout, bare, name), field="frames")
        frames[bare] = there[bare]
    return list(frames.values())


def _not_there(layout: Layout, bare: str, name: str) -> str:
    if any(file.path == layout.folder + bare for file in layout.files):
        return f"frames lists '{shortened(name)}', whose ending does not belong to the format"
    return f"frames lists '{shortened(name)}', which is not in {place(layout.folder)}"


def _bare(layout: Layout, name: str) -> str:
    """A file's name within the folder of the frames, however much of the way there it has before it. Composed alike:
    macOS packs decomposed names, and nobody types those."""
    name = name.removeprefix("./").removeprefix(layout.base)
    if layout.in_folder:
        name = name.removeprefix(FRAMES)
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _none_fit(layout: Layout, form: Format) -> str:
    """What was looked for, and what is there instead."""
    where = place(layout.folder)
    fit = Counter(folder_of(file.path) for file in layout.files if ending_of(file.path) in ENDINGS[form])
    reason = f"{form} frames end in {_endings(form)}, and no file in {where} does"
    if fit:
        ((folder, count),) = fit.most_common(1)
        return f"{reason}; {count} in {shortened(place(folder))} do"
    found = Counter(
        ending_of(file.path) or "no ending"
        for file in layout.files
        if folder_of(file.path) == layout.folder and file != layout.metadata
    )
    if not found:
        return f"{reason}; there are no files in it"
    told = [f"{count} × {shortened(ending)}" for ending, count in found.most_common(_MOST_TOLD)]
    more = len(found) - len(told)
    return f"{reason}; it holds {', '.join(told)}{f' and {more} other endings' if more else ''}"


def _endings(form: Format) -> str:
    *others, last = ENDINGS[form]
    return f"{', '.join(others)} or {last}" if others else last


def _check_bytes(files: list[File], metadata: Metadata) -> None:
    expected = bytes_a_frame(metadata.format, metadata.width, metadata.height)
    for path, entry in files:
        if entry.size != expected:
            shape = f"{metadata.width} × {metadata.height} × {BYTES_A_PIXEL[metadata.format]}"
            raise BrokenRule(
                f"{shortened(path)} has {entry.size} bytes; {shape} = {expected} are expected of {metadata.format}",
                entry=entry.name,
            )


def _check_pictures(files: list[File], metadata: Metadata, sizes: Mapping[int, PictureSize]) -> None:
    expected = PictureSize(metadata.format, metadata.width, metadata.height)
    for path, entry in files:
        size = sizes.get(entry.number)
        if size == expected:
            continue
        if size is None:
            raise BrokenRule(
                f"{shortened(path)} is no readable {metadata.format} picture", entry=entry.name, field="format"
            )
        if size.format is not metadata.format:
            raise BrokenRule(
                f"{shortened(path)} is a {size.format} picture; format says {metadata.format}",
                entry=entry.name,
                field="format",
            )
        raise BrokenRule(
            f"{shortened(path)} is {size.width} × {size.height}; width and height say "
            f"{metadata.width} × {metadata.height}",
            entry=entry.name,
            field="width" if size.width != metadata.width else "height",
        )
