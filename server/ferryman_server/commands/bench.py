"""`ferryman bench`: what this machine, or a server that runs, is good for. Each thing that can be rated is a command
below it.

Exit codes: 0 every promise is kept, 1 one is not, 2 nothing could be measured.
"""

import argparse
from collections.abc import Sequence
from typing import Final, Protocol

from ferryman_server.benching.errors import CannotRate
from ferryman_server.commands.base import CannotRun, Command
from ferryman_server.commands.bench_frames import RateFrames
from ferryman_server.settings import Settings
from ferryman_server.settings_sources import add_arguments


class Bench(Protocol):
    """Something that can be rated."""

    name: str  # as typed after `ferryman bench`
    help: str
    flags: Sequence[str]  # the settings that get a flag

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add its arguments."""

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Measure, and return the exit code. May raise CannotRate and StoreError."""


BENCHES: Final[Sequence[Bench]] = (RateFrames(),)


class BenchCommand(Command):
    """The command."""

    name = "bench"
    help = "rate this machine, or a server that runs: how soon are frames there"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """A command for each thing that can be rated."""
        below = parser.add_subparsers(dest="bench", metavar="WHAT", required=True)
        for bench in BENCHES:
            own = below.add_parser(bench.name, help=bench.help, description=bench.help, allow_abbrev=False)
            own.set_defaults(chosen=bench)
            bench.configure(own)
            add_arguments(own, bench.flags)

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Measure. Raises CannotRun and StoreError."""
        chosen: Bench = args.chosen
        try:
            return chosen.answer(settings, args)
        except CannotRate as reason:
            raise CannotRun(str(reason)) from reason


command = BenchCommand()
