"""Pictures that are frames though no metadata.json says so: numbered ones, all of one format and one size.

An archive with anything else in it is an ordinary one. The reason names the first thing that stands against a sequence
and what would make frames of it.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ferryman_server.media.archive_layout import METADATA, File, folder_of, place
from ferryman_server.media.frame_formats import Format, ending_of, is_raw_ending, picture_format
from ferryman_server.media.metadata import MAX_SIDE, shortened
from ferryman_server.media.natural_order import natural_key
from ferryman_server.media.picture_size import PictureSize

_DESCRIBE: Final = "a metadata.json with width, height, format and fps would make frames of it"
_ALONE: Final = (
    "alone in the archive they would be frames, or with a metadata.json that says width, height, format and fps"
)


class NoSequence(Exception):
    """It is an ordinary archive; `str()` says why."""


class Sequence(NamedTuple):
    """Frames, in order."""

    size: PictureSize
    files: list[File]


def picture_sequence(files: list[File], sizes: Mapping[int, PictureSize]) -> Sequence:
    """The frames that these files are; `sizes` by entry number. Raises NoSequence."""
    if not files:
        raise NoSequence("there are no files in it; numbered pictures, or frames with a metadata.json, are expected")
    form = _one_format(files)
    if len(files) < 2:
        raise NoSequence(f"there is one picture only; two or more would be frames, and {_DESCRIBE}")
    _check_folder(files)
    _check_numbers([file.path for file in files])
    files = sorted(files, key=lambda file: natural_key(file.path))
    return Sequence(_one_size(files, form, sizes), files)


def _one_format(files: list[File]) -> Format:
    """By their names all are pictures, and of one format."""
    first = picture_format(ending_of(files[0].path))
    for path, _ in files:
        form = picture_format(ending_of(path))
        if form is None or first is None:
            raise NoSequence(_no_picture(files, path))
        if form is not first:
            raise NoSequence(
                f"{shortened(files[0].path)} and {shortened(path)} are of two formats; numbered pictures of one format "
                f"{_ALONE}"
            )
    assert first is not None
    return first


def _no_picture(files: list[File], path: str) -> str:
    misplaced = next((path for path, _ in files if path.rpartition("/")[2].lower() == METADATA), None)
    if misplaced is not None:
        return (
            f"{shortened(misplaced)} does not count: what makes frames of an archive is called metadata.json, and lies "
            "at the top or in the one folder that everything else lies in"
        )
    if is_raw_ending(ending_of(path)):
        return f"{shortened(path)} does not say what its pixels are; {_DESCRIBE}"
    return f"{shortened(path)} is no picture; numbered pictures {_ALONE}"


def _check_folder(files: list[File]) -> None:
    first = folder_of(files[0].path)
    for path, _ in files:
        if folder_of(path) != first:
            places = f"{shortened(place(first))} and {shortened(place(folder_of(path)))}"
            raise NoSequence(f"its pictures lie in {places}; in one folder, numbered, they would be frames")


def _check_numbers(paths: list[str]) -> None:
    """All have the same text before and after a number."""
    before = _common(paths).rstrip("0123456789")
    after = _common([path[::-1] for path in paths]).rstrip("0123456789")[::-1]
    numbered = re.compile(rf"{re.escape(before)}[0-9]+{re.escape(after)}")
    if not all(map(numbered.fullmatch, paths)):
        raise NoSequence(
            f"the names of its pictures, from {shortened(min(paths))} to {shortened(max(paths))}, differ in more than "
            "one number; named like frame_0001 and frame_0002 they would be frames"
        )


def _common(texts: list[str]) -> str:
    """What all of them begin with: what the first and the last in order do."""
    low, high = min(texts), max(texts)
    return low[: next((at for at, character in enumerate(low) if character != high[at : at + 1]), len(low))]


def _one_size(files: list[File], form: Format, sizes: Mapping[int, PictureSize]) -> PictureSize:
    first = sizes.get(files[0].entry.number)
    for path, entry in files:
        size = sizes.get(entry.number)
        if size is None or first is None:
            raise NoSequence(f"{shortened(path)} is no readable picture; readable ones, of one size, would be frames")
        if size.format is not form:
            raise NoSequence(
                f"{shortened(path)} is a {size.format} picture by its bytes; with the right ending it may be a frame"
            )
        if size != first:
            raise NoSequence(
                f"{shortened(files[0].path)} is {first.width} × {first.height} and {shortened(path)} is "
                f"{size.width} × {size.height}; pictures of one size would be frames"
            )
    assert first is not None
    if max(first.width, first.height) > MAX_SIDE:
        raise NoSequence(
            f"its pictures are {first.width} × {first.height}; up to {MAX_SIDE} a side they would be frames"
        )
    return first
