"""From an upload that is complete to a medium in the library."""

from pathlib import PurePath
from typing import Final

from ferryman_server.disposition import safe_media_type
from ferryman_server.media.frame_set import FrameSet
from ferryman_server.state.base import Record
from ferryman_server.state.media import Kind, Publication

_NAMELESS: Final = "upload"


def frames_publication(record: Record, frames: FrameSet) -> Publication:
    """An archive of frames."""
    upload = record.upload
    name = name_of(record)
    return Publication(
        upload_id=upload.id,
        name=name,
        owner=record.owner,
        title=frames.title or PurePath(name).stem,
        kind="frames",
        size=upload.offset,
        content_type="application/zip",
        width=frames.width,
        height=frames.height,
        format=frames.format.value,
        fps=frames.fps,
        duration=len(frames.frames) / frames.fps,
        frames=frames.frames,
    )


def file_publication(record: Record, kind: Kind) -> Publication:
    """Any other medium, of which no more is known yet than its client said."""
    upload, name = record.upload, name_of(record)
    return Publication(
        upload_id=upload.id,
        name=name,
        owner=record.owner,
        title=PurePath(name).stem,
        kind=kind,
        size=upload.offset,
        content_type=safe_media_type(upload.content_type),
    )


def name_of(record: Record) -> str:
    """The file's name without any folders; the upload's own where it has none."""
    name = PurePath((record.upload.filename or "").replace("\\", "/")).name
    return name or f"{_NAMELESS}-{record.upload.id[:8]}"
