"""The bytes of an archive on their way past the walker: taken in order, once, however they are cut into pieces.

The walker is a generator; it yields where it needs more bytes than there are, and is gone on with when they have come.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Reading: TypeAlias = Generator[None, None, T]


class Source:
    """What has come and was not taken yet."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset  # bytes: of the next one to be taken
        self._held = b""  # left over from earlier pieces: less than a record
        self._piece = memoryview(b"")

    @property
    def held(self) -> int:
        """How many bytes have come and were not taken."""
        return len(self._held) + len(self._piece)

    def put(self, piece: memoryview) -> None:
        """More has come. To be called when everything before was taken or held."""
        self._piece = piece

    def hold(self) -> None:
        """Keep what was not taken of the piece: its memory is about to be used again."""
        self._held += self._piece
        self._piece = memoryview(b"")

    def peek(self, count: int) -> Reading[bytes]:
        """The next `count` bytes, which stay there."""
        while len(self._held) + len(self._piece) < count:
            yield
        if len(self._held) >= count:
            return self._held[:count]
        return self._held + self._piece[: count - len(self._held)]

    def take(self, count: int) -> Reading[bytes]:
        """The next `count` bytes."""
        if self._held or len(self._piece) < count:
            taken = yield from self.peek(count)
        else:  # mostly: it is asked for some times an entry
            taken = bytes(self._piece[:count])
        self.skip(count)
        return taken

    def some(self) -> Reading[memoryview]:
        """As many bytes as lie together, at least one; they stay there. Their memory may be used again later."""
        while not self._held and not self._piece:
            yield
        return memoryview(self._held) if self._held else self._piece

    def skip(self, count: int) -> None:
        """Take so many bytes that are there."""
        self.offset += count
        if self._held:
            held = min(count, len(self._held))
            self._held = self._held[held:]
            count -= held
        self._piece = self._piece[count:]
