"""A small picture that stands for a video or an image: a JPEG, no side longer than 640 pixels, nothing enlarged."""

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.film_poster import film_poster
from ferryman_server.making.image_poster import image_poster
from ferryman_server.making.poster_jpeg import check_room
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.state.media import Kind


def poster(file: StoredFile, kind: Kind, most: int) -> bytes:
    """At most `most` bytes. Raises CannotMake, the StoreError of the file, and ValueError for a `most` below 1024."""
    check_room(most)
    if kind == "video":
        return film_poster(file, most)
    if kind == "image":
        return image_poster(file, most)
    raise CannotMake(f"there are posters of videos and images, not of what is {kind}")
