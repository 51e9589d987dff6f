"""`ferryman ls`: the uploads, newest first; read from the database, whether a server runs or not."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ferryman_protocol.model import Phase
from ferryman_server.api import as_json
from ferryman_server.commands.base import FINE, Command
from ferryman_server.commands.looking import newest, reading
from ferryman_server.humane import human_size, printable
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record

LIMIT: Final = 20
_HEADINGS: Final = ("ID", "PHASE", "SIZE", "DONE", "CREATED", "NAME")


class Ls(Command):
    """The command."""

    name = "ls"
    help = "list uploads, the newest first"
    flags = ("data",)

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """`--json` and `--limit`."""
        parser.add_argument("--json", action="store_true", help="one JSON document, sizes in bytes, times in seconds")
        parser.add_argument(
            "--limit", type=_limit, default=LIMIT, metavar="N", help=f"how many (default: {LIMIT}); 0 lists all"
        )
        super().configure(parser)

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Print the list."""
        records = asyncio.run(_records(settings, args.limit or None))
        if args.json:
            uploads = [as_json(record, f"{settings.files_path}{record.upload.id}") for record in records]
            print(json.dumps({"uploads": uploads}, indent=2))
        else:
            print(table(records))
        return FINE


def table(records: Sequence[Record]) -> str:
    """The records as columns for people."""
    if not records:
        return "There are no uploads."
    rows = [_HEADINGS, *(_row(record) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def _row(record: Record) -> tuple[str, ...]:
    upload = record.upload
    complete = upload.phase is Phase.COMPLETE
    return (
        upload.id,
        upload.phase.value,
        "unknown" if upload.length is None else human_size(upload.length),
        "100 %" if complete else human_size(upload.offset) if not upload.length else f"{_percent(record):.0f} %",
        datetime.fromtimestamp(record.created_at).strftime("%Y-%m-%d %H:%M"),
        printable(upload.filename or "-"),
    )


def _percent(record: Record) -> float:
    return 100 * record.upload.offset / (record.upload.length or 1)


async def _records(settings: Settings, limit: int | None) -> list[Record]:
    async with reading(settings) as state:
        return [record async for record in newest(state, limit)]


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


command = Ls()
