"""Archives that were sent with a Content-Encoding: they cannot be read from their middle, and are told apart here.

A ZIP gains nothing by being coded once more, so nothing is done to read one all the same: its client is told to send it
as it is.
"""

from collections.abc import Iterable
from typing import Final, cast, get_args

from ferryman_protocol.commands import Coding
from ferryman_server.decoding import DecodingError, TooLarge, decoder
from ferryman_server.read_along import ARCHIVE

LOOKED_AT: Final = 1 << 18  # bytes: a gzip header may take 128 KiB


def why_not_frames(coding: str) -> str:
    """What its client is told."""
    return (
        f"It was sent with Content-Encoding: {coding}, so that no frame can be read without all that lies before it. "
        "Send the ZIP as it is: it is compressed already."
    )


def begins_as_archive(coding: str, coded: Iterable[bytes | memoryview]) -> bool:
    """Whether bytes with this coding begin as an archive once it is undone; `coded`: the first ones, LOOKED_AT or all
    there are."""
    if coding not in get_args(Coding):
        return False
    begun = bytearray()
    undoing = decoder(cast(Coding, coding), begun.extend, len(ARCHIVE))
    try:
        for piece in coded:
            undoing.feed(memoryview(piece))
    except TooLarge:
        pass  # there is more, as there should be
    except DecodingError:
        return False
    return bytes(begun) == ARCHIVE
