"""Archives of frames as lists of entries, without the archives."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ferryman_server.media.entries import STORED, Entry
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.frame_set import BadFrames, FrameSet, NotFrames, find_metadata, judge
from ferryman_server.media.picture_size import PictureSize

RAW_SIZE = 4 * 2 * 2
"""Bytes of a frame in RAW."""
RAW: dict[str, Any] = {"width": 4, "height": 2, "format": "rgb565le", "fps": 25}
PNG: dict[str, Any] = {"width": 4, "height": 2, "format": "png", "fps": 12.5}
PNG_SIZE = PictureSize(Format.PNG, 4, 2)


def entry(number: int, name: str, size: int = RAW_SIZE) -> Entry:
    """An entry of which only its name and size count here."""
    size = 0 if name.endswith("/") else size
    return Entry(number=number, name=name, offset=0, data=0, packed=size, size=size, crc=0, method=STORED, flags=0)


def archive(names: Iterable[str], sizes: Mapping[str, int] | None = None) -> list[Entry]:
    """Entries with these names, all of the size of a frame but for those in `sizes`."""
    return [entry(number, name, (sizes or {}).get(name, RAW_SIZE)) for number, name in enumerate(names)]


def numbered(before: str, count: int, after: str) -> list[str]:
    """Names of frames: `before`1`after` and so on."""
    return [f"{before}{number}{after}" for number in range(1, count + 1)]


def judged(
    names: Iterable[str],
    fields: Mapping[str, Any] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    pictures: Mapping[str, PictureSize | None] | None = None,
) -> FrameSet | NotFrames | BadFrames:
    """The verdict. `fields`: what the metadata.json says; `sizes`: bytes, where they are not a frame's; `pictures`:
    what files with the ending of a picture are, where that is not PNG_SIZE."""
    entries = archive(names, sizes)
    told = {one.name: PNG_SIZE for one in entries if one.name.endswith((".png", ".jpg", ".webp"))} | dict(
        pictures or {}
    )
    by_number = {one.number: size for one in entries if (size := told.get(one.name)) is not None}
    content = None if fields is None else json.dumps(fields).encode()
    assert (find_metadata(entries) is not None) or content is None
    return judge(entries, content, by_number)


def frames(names: Iterable[str], verdict: FrameSet | NotFrames | BadFrames) -> list[str]:
    """The names of the frames in order."""
    assert isinstance(verdict, FrameSet), verdict
    by_number = list(names)
    return [by_number[number] for number in verdict.frames]


def refused(verdict: FrameSet | NotFrames | BadFrames) -> BadFrames:
    """The refusal."""
    assert isinstance(verdict, BadFrames), verdict
    return verdict


def ordinary(verdict: FrameSet | NotFrames | BadFrames) -> str:
    """Why it is an ordinary archive."""
    assert isinstance(verdict, NotFrames), verdict
    return verdict.reason
