"""`ferryman inspect`: what the server would make of a ZIP file, without uploading it.

Exit codes: 0 the archive is accepted (whether it holds frames or not), 1 it is refused, 2 it cannot be read.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ferryman_server.commands.base import FINE, PROBLEMS, CannotRun, Command
from ferryman_server.humane import human_size, printable
from ferryman_server.media.frame_set import FrameSet
from ferryman_server.media.limits import limits_of
from ferryman_server.media.looking import Looked, look_at
from ferryman_server.settings import Settings

PIECE: Final = 1 << 20  # bytes


class Inspect(Command):
    """The command."""

    name = "inspect"
    help = "say what the server would make of a ZIP file: accepted or refused, and its frames"
    flags = ("zip_entries", "zip_name_length", "zip_entry_size", "zip_total_size")

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """The file, and `--json`."""
        parser.add_argument("file", type=Path, metavar="FILE.zip", help="the archive")
        parser.add_argument("--json", action="store_true", help="one JSON document, sizes in bytes")
        super().configure(parser)

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Read the file once, from its beginning. Raises CannotRun."""
        try:
            looked = look_at(_pieces(args.file), limits_of(settings))
        except OSError as error:
            raise CannotRun(f"{args.file} cannot be read: {error.strerror or error}") from error
        print(json.dumps(as_json(looked), indent=2) if args.json else as_text(looked))
        return FINE if looked.refused is None else PROBLEMS


def as_json(looked: Looked) -> dict[str, Any]:
    """The findings for programs."""
    accepted = looked.refused is None
    return {
        "verdict": "accept" if accepted else "refuse",
        "reason": None if accepted else str(looked.refused),
        "entries": [
            {"name": entry.name, "size": entry.size, "sha256": digest}
            for entry, digest in zip(looked.entries, looked.digests, strict=True)
        ],
        "frames": _frames(looked),
    }


def _frames(looked: Looked) -> dict[str, Any]:
    match looked.frames:
        case None:
            return {"ok": False, "reason": "the archive is refused", "count": 0}
        case FrameSet() as found:
            return {
                "ok": True,
                "reason": None,
                "count": len(found.frames),
                "width": found.width,
                "height": found.height,
                "format": found.format.value,
                "fps": found.fps,
                "title": found.title,
                "names": [looked.entries[number].name for number in found.frames],
            }
        case other:
            return {"ok": False, "reason": other.reason, "count": 0}


def as_text(looked: Looked) -> str:
    """The findings for people."""
    if looked.refused is not None:
        return f"refused: {printable(str(looked.refused))}"
    unpacked = human_size(sum(entry.size for entry in looked.entries))
    first = f"accepted: {_counted(len(looked.entries), 'entry', 'entries')}, {unpacked} unpacked"
    match looked.frames:
        case FrameSet() as found:
            size = f"{found.width} × {found.height}, {found.format.value}, {found.fps:g} a second"
            return f"{first}\nframes: {len(found.frames)} of {size}"
        case other:
            assert other is not None
            return f"{first}\nno frames: {printable(other.reason)}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


command = Inspect()
