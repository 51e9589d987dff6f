"""The walker of archives, and readers of single files in them: any bytes are taken, or refused in words."""

import io
import zipfile
from typing import Final

from ferryman_server.media.frame_set import BadFrames, NotFrames
from ferryman_server.media.looking import Looked, look_at
from ferryman_server.media.metadata import BadMetadata, parse_metadata
from ferryman_server.media.picture_size import Sizer
from ferryman_server.media.zip_index import Limits
from tests.fuzz.checks import MAX_DETAIL

LIMITS: Final = Limits(entries=50, name_length=100, entry_size=1 << 16, total_size=1 << 18)


def check_archive(data: bytes) -> None:
    """An archive is the same however it is cut, and what is accepted reads as Python's own reader reads it."""
    whole = look_at([data], LIMITS)
    pieces = [data[start : start + 7] for start in range(0, len(data), 7)]
    cut = look_at(pieces, LIMITS)
    assert told(whole) == told(cut)  # not in the same words: a decoder may see damage a little earlier or later
    assert (whole.entries, whole.digests) == (cut.entries, cut.digests)
    if whole.refused is not None:
        assert str(whole.refused).isprintable()
        assert len(str(whole.refused)) < MAX_DETAIL * 4
    elif whole.entries:
        _agrees(data, whole)


def told(looked: Looked) -> tuple[bool, str | None, str | None]:
    """Whether it is refused, which entry's fault that is, and why there are no frames."""
    why = looked.frames.reason if isinstance(looked.frames, NotFrames | BadFrames) else None
    if looked.refused is None:
        return (False, None, why)
    return (True, looked.refused.entry, why)


def _agrees(data: bytes, looked: Looked) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as plain:
        sizes = {info.header_offset: info.file_size for info in plain.infolist()}
    assert sizes == {entry.offset: entry.size for entry in looked.entries}


def check_description(data: bytes) -> None:
    """A metadata.json is read, or refused in words; a picture's size is found the same however it comes."""
    reason = ""
    try:
        parse_metadata(data)
    except BadMetadata as bad:
        reason = bad.reason
    assert not reason or reason.isprintable()
    whole, cut = Sizer(), Sizer()
    whole.feed(data)
    for start in range(len(data)):
        cut.feed(data[start : start + 1])
    assert whole.size == cut.size
