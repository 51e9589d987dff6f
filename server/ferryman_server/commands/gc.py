"""`ferryman gc`: clear away what expired, was deleted or was left behind; decide about published files without a row.

A running server does the clearing by itself (`reap_interval`). This is for a server that is stopped, and `--dry-run`
for looking at any time.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from ferryman_server.commands.base import FINE, PROBLEMS, CannotRun, Command
from ferryman_server.commands.looking import reading
from ferryman_server.humane import human_size
from ferryman_server.reaper import Report, reap
from ferryman_server.settings import Settings
from ferryman_server.settling import Settler
from ferryman_server.state.base import State
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.base import Store
from ferryman_server.storage.identity import DataInUse, DataLock
from ferryman_server.storage.local import LocalStore
from ferryman_server.unclaimed import adopt, delete_published


class Gc(Command):
    """The command."""

    name = "gc"
    help = "free what expired, was deleted or was left behind by a crash"
    flags = ("data", "upload_ttl", "durability")

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """What to do, or only to tell."""
        parser.add_argument("--dry-run", action="store_true", help="tell what would be done; works beside a server")
        fate = parser.add_mutually_exclusive_group()
        fate.add_argument(
            "--adopt", action="store_true", help="take published files without a row in as complete uploads"
        )
        fate.add_argument(
            "--delete-published", action="store_true", help="delete published files without a row, for good"
        )
        super().configure(parser)

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Clear away once and say what was done; 1 when something is left that a person has to look at."""
        if settings.store != "local":
            raise CannotRun(
                "the memory store keeps its bytes inside the server: there is nothing to clear from outside"
            )
        if not (settings.data / "state.db").exists():
            raise CannotRun(f"there is no {settings.data / 'state.db'}: no server has run on this folder yet")
        with nullcontext() if args.dry_run else _locked(settings):
            report = asyncio.run(_clear(settings, args))
        for line in report.lines:
            print(line)
        print(_summary(report, dry_run=args.dry_run))
        return PROBLEMS if report.failed or report.unclaimed else FINE


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Hold the folder's lock. Raises CannotRun when a server has it."""
    lock = DataLock(settings.data)
    try:
        lock.acquire()
    except DataInUse as used:
        raise CannotRun(
            f"a server (process {used.pid or 'unknown'}) uses {settings.data} and clears it by itself every now and "
            "then; stop it first, or look with --dry-run"
        ) from used
    try:
        yield
    finally:
        lock.release()


async def _clear(settings: Settings, args: argparse.Namespace) -> Report:
    store = LocalStore(settings.data, durability=settings.durability)
    if args.dry_run:
        async with reading(settings) as state:
            return await _cleared(state, store, settings, args)
    store.open()
    state = SqliteState(settings.data / "state.db", store_id=store.store_id)
    try:
        await state.open()
        settler = Settler(state, store)
        await settler.replay()  # what a crash left in the database only …
        await settler.settle()  # … is to be seen as files
        return await _cleared(state, store, settings, args)
    finally:
        await state.close()
        store.close()


async def _cleared(state: State, store: Store, settings: Settings, args: argparse.Namespace) -> Report:
    now = time.time()
    report = await reap(state, store, now=now, orphan_ttl=settings.upload_ttl, dry_run=args.dry_run)
    would = "would be " if args.dry_run else ""
    for stray in report.unclaimed:
        what = f"{stray.upload_id}: a published file of {human_size(stray.size)} without a row"
        if args.adopt:
            if not args.dry_run:
                await adopt(state, store, stray, now=now)
            report.lines.append(f"{what}, {would}taken in as a complete upload")
        elif args.delete_published:
            if not args.dry_run:
                await delete_published(store, stray)
            report.freed += stray.size
            report.lines.append(f"{what}, {would}deleted")
        else:
            report.lines.append(f"{what}, left alone (--adopt takes it in, --delete-published deletes it)")
    if args.adopt or args.delete_published:
        report.unclaimed.clear()
    return report


def _summary(report: Report, *, dry_run: bool) -> str:
    if report.quiet and not report.freed:
        return "There is nothing to clear away."
    verb = "Would free" if dry_run else "Freed"
    parts = [f"{report.expired} expired", f"{report.orphans} without a row", f"{report.forgotten} old rows removed"]
    if report.failed:
        parts.append(f"{report.failed} could not be freed")
    if report.unclaimed:
        parts.append(f"{len(report.unclaimed)} published files without a row were left alone")
    return f"{verb} {human_size(report.freed)}: {', '.join(parts)}."


command = Gc()
