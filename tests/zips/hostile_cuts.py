"""Shapes that end too early: archives cut at every place where a reader could take what it has for all."""

from typing import Final

from ferryman_server.media.entries import STORED
from tests.zips.build import Archive, Member
from tests.zips.shape import FIRST, FRAME, LAST, Shape, refused

_ENTRY: Final = "frame.rgb"
_CUT: Final = "ends,ended,end of,cut,truncat,incomplete,short,missing,before"


def _truncated() -> list[Shape]:
    """Archives that end too early."""
    streamed = Archive(
        [FIRST, Member(b"frame.rgb", FRAME, descriptor="signed32"), LAST], comment=b"a comment", zip64_end=True
    )
    browser = Archive([FIRST, Member(b"frame.rgb", FRAME, STORED, "signed32")])
    whole, places = streamed.build()
    cuts = {
        "in-first-signature": (2, None, ""),
        "in-local-header": (places.headers[1] + 17, None, ""),
        "in-local-signature": (places.headers[1] + 3, None, ""),
        "in-name": (places.headers[1] + 33, None, ""),
        "before-data": (places.data[1], _ENTRY, ""),
        "in-data": (places.data[1] + 20, _ENTRY, ""),
        "before-descriptor": (places.data_ends[1], _ENTRY, "descriptor"),
        "in-descriptor": (places.data_ends[1] + 9, _ENTRY, "descriptor"),
        "in-stored-data": (places.data[2] + 300, "last.rgb", ""),
        "between-entries": (places.headers[2], None, "directory"),
        "before-directory": (places.directory, None, "directory"),
        "in-directory": (places.central[1] + 20, None, "directory"),
        "in-directory-name": (places.central[1] + 49, None, "directory"),
        "in-directory-signature": (places.central[1] + 2, None, "directory"),
        "behind-directory": (places.directory_end, None, "end record"),
        "in-zip64-end": (places.zip64_end + 30, None, "zip64"),
        "before-locator": (places.locator, None, "locator"),
        "in-locator": (places.locator + 7, None, "locator"),
        "before-end": (places.end, None, "end record"),
        "in-end": (places.end + 11, None, "end record"),
        "in-comment": (places.end + 22 + 4, None, "comment"),
    }
    shapes = [
        refused(f"cut-{name}", whole[:at], entry, f"{_CUT},{word}" if word else _CUT, "an upload of half a file")
        for name, (at, entry, word) in cuts.items()
    ]
    data, places = browser.build()
    why = "stored, its size not known: to be told at the end, and not to be waited for"
    shapes.append(refused("cut-in-unknown-size", data[: places.data[1] + 300], _ENTRY, f"{_CUT},descriptor", why))
    return shapes


CUTS: Final[tuple[Shape, ...]] = tuple(_truncated())
