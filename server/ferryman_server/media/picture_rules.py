"""What is asked of every frame that becomes a picture, and what is raised where it is not so."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_SIDE: Final = 16384
"""Pixels: no side of a frame may be longer. Pillow takes 4 bytes a pixel, so the largest frame takes 1 GiB while it is
converted; what a server lets in should be far below."""


class BadPicture(Exception):
    """A frame cannot be made a picture of. `reason` says why, in words for whoever uploaded it; which frame it was is
    for the caller to say."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class PicturesMissing(Exception):
    """This server was installed without what is needed for pictures."""

    def __init__(self) -> None:
        super().__init__("this server cannot make pictures, Pillow is missing: pip install ferryman[media]")


@contextmanager
def needs_pillow() -> Iterator[None]:
    """Import from Pillow inside. Raises PicturesMissing where it is not there."""
    try:
        yield
    except ImportError as error:
        raise PicturesMissing from error


def check_sides(width: int, height: int) -> None:
    """Raises BadPicture for sides, in pixels, that no frame may have."""
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE):
        raise BadPicture(f"{width}×{height} pixels are announced; each side must be from 1 to {MOST_SIDE}")
