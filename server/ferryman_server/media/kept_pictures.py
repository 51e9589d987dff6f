"""Pictures that were made last, in memory, up to so many bytes."""

from collections import OrderedDict
from typing import TypeAlias

Key: TypeAlias = tuple[str, str]
"""The upload and the ETag. An ETag alone would do among honest people; but its CRC-32 can be met on purpose, and then
one person's picture would be shown in the place of another's."""


class KeptPictures:
    """The least recently used one goes first."""

    def __init__(self, room: int) -> None:
        """`room`: bytes."""
        self._room = room
        self._pictures: OrderedDict[Key, bytes] = OrderedDict()
        self._taken = 0

    def get(self, key: Key) -> bytes | None:
        """The picture, if it is there."""
        picture = self._pictures.get(key)
        if picture is not None:
            self._pictures.move_to_end(key)
        return picture

    def put(self, key: Key, picture: bytes) -> None:
        """Keep it; one that takes more than a quarter of the room is not worth all those that would go."""
        if key in self._pictures or len(picture) > self._room // 4:
            return
        self._pictures[key] = picture
        self._taken += len(picture)
        while self._taken > self._room:
            self._taken -= len(self._pictures.popitem(last=False)[1])
