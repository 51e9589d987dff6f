"""The URLs of frames and small pictures: written for the JSON API, and read from requests.

Those that are written are relative to the server and have the generation in them, so that what they name never changes
and may be kept for ever. Numbers have up to nine digits and no zero before them; frames count from 0.
"""

import re
from dataclasses import dataclass
from typing import Final

MEDIA_PATH: Final = "/media/"
THUMB_SIZES: Final = (80, 160, 320)  # pixels: of the longer side
SUFFIXES: Final = ("png", "jpg", "jpeg", "webp", "bmp", "raw")

_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"
_FRAME: Final = re.compile(rf"{_NUMBER}(?:\.({'|'.join(SUFFIXES)}))?")
_FRAMES: Final = re.compile(rf"{_NUMBER}-{_NUMBER}\.raw")
_WHOLE: Final = re.compile(_NUMBER)


@dataclass(frozen=True, slots=True)
class FrameName:
    """One frame."""

    n: int
    suffix: str | None  # one of SUFFIXES; None: what Accept asks for


@dataclass(frozen=True, slots=True)
class FramesName:
    """Raw frames one behind the other; the last may come before the first."""

    first: int
    last: int  # this one too


def frame_url(slug: str, generation: int, n: int, suffix: str) -> str:
    """Frame n, from 0, of a generation of a medium. `suffix`: one of SUFFIXES; empty: the frame's own bytes, unless
    Accept asks for others."""
    return f"{MEDIA_PATH}{slug}/frames/{n}{'.' if suffix else ''}{suffix}?g={generation}"


def thumb_url(slug: str, generation: int, n: int, size: int = 160) -> str:
    """A small picture of frame n: no side has more than `size` pixels, one of THUMB_SIZES."""
    return f"{MEDIA_PATH}{slug}/thumbs/{n}.jpg?size={size}&g={generation}"


def read_frame(text: str) -> FrameName | FramesName | None:
    """What comes behind `/media/{slug}/frames/`; None: it can be no frame."""
    one = _FRAME.fullmatch(text)
    if one is not None:
        return FrameName(int(one[1]), one[2])
    several = _FRAMES.fullmatch(text)
    return None if several is None else FramesName(int(several[1]), int(several[2]))


def read_number(text: str) -> int | None:
    """A number as it is written in URLs; None: it is none."""
    return int(text) if _WHOLE.fullmatch(text) else None
