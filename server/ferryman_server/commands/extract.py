"""`ferryman extract`: the frames of a medium as plain files, for players that read a folder.

It reads the database and the store, whether a server runs or not, and changes neither.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any, Final

from ferryman_server.backends import found_backends, opened
from ferryman_server.commands.base import FINE, CannotRun, Command
from ferryman_server.extraction_beside import extract_beside
from ferryman_server.humane import printable
from ferryman_server.media.atomic_folder import FolderRefused
from ferryman_server.media.extraction import Extraction, ExtractionFailed
from ferryman_server.settings import Settings, lies_in
from ferryman_server.state.library import Library
from ferryman_server.state.media import Medium
from ferryman_server.state.media_slugs import is_slug

FORMATS: Final = ("raw", "png", "jpg")


class Extract(Command):
    """The command."""

    name = "extract"
    help = "write the frames of a medium into a folder, for players that read files"
    flags = ("data", "store", "s3_endpoint", "durability")

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Which medium, where to, and as what."""
        parser.add_argument("slug", metavar="SLUG", help="the medium's name in its URL")
        parser.add_argument(
            "folder", type=Path, metavar="DIR", help="an empty folder, one that is not there, or one extracted before"
        )
        parser.add_argument(
            "--format",
            choices=FORMATS,
            help="png, jpg: make pictures of the frames; raw: refuse those that are not (default: as they are)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON document about what was extracted")
        super().configure(parser)

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Extract, and say what. Raises CannotRun."""
        if settings.store == "memory":
            raise CannotRun("the memory store keeps its bytes inside the server: nothing can be read from outside")
        if not (settings.data / "state.db").exists():
            raise CannotRun(f"there is no {settings.data / 'state.db'}: no server has run on this folder yet")
        if lies_in(args.folder, settings.data):
            raise CannotRun(f"{args.folder} lies in the data folder {settings.data}: name a folder outside")
        try:
            done = asyncio.run(_extracted(settings, args))
        except (ExtractionFailed, FolderRefused) as reason:
            raise CannotRun(str(reason)) from reason
        print(json.dumps(as_json(done), indent=2) if args.json else as_text(done))
        return FINE


def as_json(done: Extraction) -> dict[str, Any]:
    """What was extracted, for programs."""
    medium = done.medium
    return {
        "slug": medium.slug,
        "title": medium.title,
        "generation": medium.generation,
        "folder": str(done.folder),
        "frames": len(done.entries),
        "format": done.format.value,
        "width": medium.width,
        "height": medium.height,
        "fps": medium.fps,
    }


def as_text(done: Extraction) -> str:
    """What was extracted, for people."""
    medium, count = done.medium, len(done.entries)
    what = f"{count} {'frame' if count == 1 else 'frames'} of {medium.width} × {medium.height}, {done.format.value}"
    return f"{printable(str(done.folder))}: {what}, {medium.fps:g} a second"


async def _extracted(settings: Settings, args: argparse.Namespace) -> Extraction:
    async with opened(found_backends(settings, readonly=True)) as backends:
        medium = await _medium(backends.state.library, args.slug)
        return await extract_beside(settings, backends, medium, args.folder.absolute(), args.format)


async def _medium(library: Library, slug: str) -> Medium:
    medium = await library.get(slug) if is_slug(slug) else None
    if medium is None:
        raise CannotRun(f"there is no medium '{printable(slug)}': /api/media of the running server lists all there are")
    return medium


command = Extract()
