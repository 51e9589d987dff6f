"""`ferryman gc`: clear away what expired, was deleted or was left behind; decide about published files without a row.

A running server does the clearing by itself (`reap_interval`). This is for a server that is stopped, and `--dry-run`
for looking at any time.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from ferryman_server.backends import found_backends, opened
from ferryman_server.commands.base import FINE, PROBLEMS, CannotRun, Command
from ferryman_server.derived_strays import free_unnamed
from ferryman_server.humane import human_size, printable
from ferryman_server.reaper import Report, reap
from ferryman_server.settings import Settings
from ferryman_server.settling import Settler
from ferryman_server.state.base import State
from ferryman_server.storage.base import Store, StoreError, Stray
from ferryman_server.storage.identity import DataInUse, DataLock
from ferryman_server.unclaimed import Doubtful, adopt, delete_published


class Gc(Command):
    """The command."""

    name = "gc"
    help = "free what expired, was deleted or was left behind by a crash"
    flags = ("data", "store", "s3_endpoint", "s3_key", "upload_ttl", "durability")

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
        if settings.store == "memory":
            raise CannotRun(
                "the memory store keeps its bytes inside the server: there is nothing to clear from outside"
            )
        if not (settings.data / "state.db").exists():
            raise CannotRun(f"there is no {settings.data / 'state.db'}: no server has run on this folder yet")
        with nullcontext() if args.dry_run else _locked(settings):
            report = asyncio.run(_clear(settings, args))
        for line in report.lines:
            print(line)
        print(_summary(report, args))
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
    async with opened(found_backends(settings, readonly=args.dry_run)) as backends:
        if not args.dry_run:
            settler = Settler(backends.state, backends.store)
            await settler.replay()  # what a crash left in the database only …
            await settler.settle()  # … is to be seen as files
        return await _cleared(backends.state, backends.store, settings, args)


async def _cleared(state: State, store: Store, settings: Settings, args: argparse.Namespace) -> Report:
    now = time.time()
    report = await reap(state, store, now=now, orphan_ttl=settings.upload_ttl, dry_run=args.dry_run)
    decide = _Decision(state, store, args, now=now, ttl=settings.upload_ttl)
    found, report.unclaimed = report.unclaimed, []
    for stray in found:
        await decide.about(stray, report)
    await free_unnamed(state.library, store, report, now=now, dry_run=args.dry_run)
    return report


class _Decision:
    """What becomes of published files without a row."""

    def __init__(self, state: State, store: Store, args: argparse.Namespace, *, now: float, ttl: float) -> None:
        self._state = state
        self._store = store
        self._args = args
        self._now = now
        self._ttl = ttl

    async def about(self, stray: Stray, report: Report) -> None:
        """Do with one as the arguments say, or tell what would be done."""
        place = f" ({printable(stray.place)})" if stray.place is not None else ""
        what = f"{stray.upload_id}{place}: a published file of {human_size(stray.size)} without a row"
        try:
            fate = await self._decide(stray, report)
        except Doubtful as reason:
            report.unclaimed.append(stray)
            fate = f"left alone: {reason}"
        except StoreError as failure:
            report.failed += 1
            fate = f"left alone, since the store failed: {failure}"
        report.lines.append(f"{what}, {fate}")

    async def _decide(self, stray: Stray, report: Report) -> str:
        dry_run = self._args.dry_run
        would = "would be " if dry_run else ""
        if self._args.adopt:
            await adopt(self._state, self._store, stray, now=self._now, ttl=self._ttl, dry_run=dry_run)
            return f"{would}taken in as a complete upload"
        if self._args.delete_published:
            await delete_published(self._store, stray, dry_run=dry_run)
            report.freed += stray.size
            return f"{would}deleted"
        report.unclaimed.append(stray)
        return "left alone (--adopt takes it in, --delete-published deletes it)"


def _summary(report: Report, args: argparse.Namespace) -> str:
    if not report.lines:
        return "There is nothing to clear away."
    verb = "Would free" if args.dry_run else "Freed"
    parts = [f"{report.expired} expired", f"{report.orphans} without a row", f"{report.forgotten} old rows removed"]
    if report.leftovers:
        parts.append(f"{report.leftovers} left over")
    if report.failed:
        parts.append(f"{report.failed} failed")
    if report.unclaimed:
        parts.append(f"{len(report.unclaimed)} published files without a row were left alone")
    return f"{verb} {human_size(report.freed)}: {', '.join(parts)}."


command = Gc()
