"""What is made of a medium in the background: names, media types, places, and how much room it may take.

A derivative's kind is the last segment of its URL, `/media/{slug}/{kind}`. Its place in the store tells whose it is and
of which generation, so that nothing is ever put where something else was.
"""

import re
from collections.abc import Mapping
from typing import Final

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.state.media import Kind
from ferryman_server.state.outbox import Job

SHEET: Final = "sheet.jpg"  # a contact sheet
FILM: Final = "preview.mp4"
LOOP: Final = "preview.webp"  # an animation, for where no film can be shown
POSTER: Final = "poster.jpg"
WAVEFORM: Final = "waveform.png"

OF_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    "frames": (SHEET, FILM, LOOP),
    "video": (POSTER,),
    "audio": (WAVEFORM,),
    "image": (POSTER,),
    "file": (),
}
MEDIA_TYPES: Final[Mapping[str, str]] = {
    SHEET: "image/jpeg",
    FILM: "video/mp4",
    LOOP: "image/webp",
    POSTER: "image/jpeg",
    WAVEFORM: "image/png",
}

DERIVE: Final = "derive"  # the kind of the job that makes them

LEAST_ROOM: Final = 600_000  # bytes that all that is made of one medium may take, however small it is
SHARE: Final = 0.03  # of its size, where that is more (DESIGN §11)
MOST_ROOM: Final = 64 << 20  # bytes, however large it is
_PARTS: Final = {SHEET: 0.25, FILM: 0.5, LOOP: 0.25, POSTER: 0.5, WAVEFORM: 0.25}  # of that room

_PLACE: Final = re.compile(rf"({ID_PATTERN})-([0-9]+)-([a-z]+\.[a-z0-9]+)")


def derive_job(upload_id: str) -> Job:
    """The job that makes all there is to be made of an upload's medium."""
    return Job(DERIVE, upload_id)


def room_for(kind: str, size: int) -> int:
    """The most bytes that this derivative of a medium of `size` bytes may take."""
    return int(min(max(LEAST_ROOM, size * SHARE), MOST_ROOM) * _PARTS[kind])


def place_of(upload_id: str, generation: int, kind: str) -> str:
    """Where this derivative lies in the store: a name that is safe in file names and in keys."""
    return f"{upload_id}-{generation}-{kind}"


def read_place(place: str) -> tuple[str, int, str] | None:
    """Upload, generation and kind; None: no place has this name."""
    match = _PLACE.fullmatch(place)
    return None if match is None else (match[1], int(match[2]), match[3])
