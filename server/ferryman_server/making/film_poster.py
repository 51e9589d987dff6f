"""A poster of a film: a key picture from about a tenth of it, or from elsewhere if there is hardly anything to see."""

from typing import TYPE_CHECKING, Final

from ferryman_server.making.av_opening import opened
from ferryman_server.making.av_streams import prepare, video_of
from ferryman_server.making.errors import CannotMake
from ferryman_server.making.key_pictures import key_pictures
from ferryman_server.making.poster_jpeg import LONGEST, poster_jpeg
from ferryman_server.making.shown_picture import shown
from ferryman_server.making.stored_file import StoredFile

if TYPE_CHECKING:
    from PIL.Image import Image

_BUDGET: Final = 48 << 20  # bytes; as much as 64 MiB with what is set aside for the beginning
_SHARES: Final = (0.1, 0.2, 0.35, 0.5, 0.75)  # of the duration, in the order in which they are looked at
_ENOUGH: Final = 24.0  # contrast, of 127 that there could be: a night scene has more, a fade or a title has less


def film_poster(file: StoredFile, most: int) -> bytes:
    """A JPEG. Raises CannotMake and StoreError."""
    with opened(file, "video", _BUDGET) as (container, feed):
        stream = video_of(container)
        if stream is None:
            raise CannotMake("it is a video without moving pictures: there is nothing to make a poster of")
        prepare(container, stream)
        best: Image | None = None
        for frame in key_pictures(container, stream, feed, _SHARES):
            image = shown(frame, stream, LONGEST)
            if best is None or contrast(image) > contrast(best):
                best = image
            if contrast(best) >= _ENOUGH:
                break
        if best is None:
            raise CannotMake("it is no video that can be read: none of its pictures could be decoded")
        return poster_jpeg(best, most)


def contrast(image: "Image") -> float:
    """How far an image's brightness is from being all the same: its standard deviation, 0 to 127."""
    from PIL import ImageStat

    return ImageStat.Stat(image.convert("L")).stddev[0]
