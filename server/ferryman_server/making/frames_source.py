"""The frames of a medium, as what is made of them asks for them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ferryman_server.media.frame_formats import Format


@dataclass(frozen=True, kw_only=True, slots=True)
class FramesSource:
    """Where they come from, and what is known of them."""

    count: int  # 1 or more
    format: Format
    width: int  # pixels
    height: int
    fps: float  # frames a second, above 0

    read: Callable[[Sequence[int]], Iterator[bytes]]
    """The whole plain frames with these rising numbers, from 0, one by one. May raise StoreError, which nobody here
    catches. Asked more than once where what was made is too large."""
