"""What an ordinary upload is shown as in the library, by what its client said of it; most are not shown."""

from typing import Final

from ferryman_protocol.model import Upload
from ferryman_server.disposition import safe_media_type
from ferryman_server.state.media import Kind

_ENDINGS: Final[dict[Kind, str]] = {
    "audio": "wav flac mp3 ogg oga opus m4a aac aif aiff",
    "video": "mp4 m4v mov mkv webm avi mpg mpeg ts ogv",
    "image": "png jpg jpeg webp gif bmp avif tif tiff",
}
_BY_ENDING: Final = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
_BY_TYPE: Final[dict[str, Kind]] = {"audio": "audio", "video": "video", "image": "image"}


def kind_of(upload: Upload) -> Kind:
    """By its media type, else by its name; `file`: it is not known as media."""
    said = _BY_TYPE.get(safe_media_type(upload.content_type).partition("/")[0])
    if said is not None:
        return said
    _, dot, ending = (upload.filename or "").lower().rpartition(".")
    return _BY_ENDING.get(ending, "file") if dot else "file"
