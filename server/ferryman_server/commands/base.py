"""What the subcommands have in common: settings first, plain words when something cannot run, exit codes.

Exit codes: 0 fine, 1 problems found, 2 cannot run.
"""

import argparse
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ferryman_server.settings import Settings
from ferryman_server.settings_sources import SettingsError, add_arguments, load
from ferryman_server.state.base import StateError
from ferryman_server.storage.base import StoreError

FINE: Final = 0
PROBLEMS: Final = 1
CANNOT_RUN: Final = 2


class CannotRun(Exception):
    """The command cannot do its work; the text says why and what to do."""


class Command(ABC):
    """A subcommand that needs settings. A module makes one instance, called `command`."""

    name: str  # as typed after `ferryman`
    help: str  # one line for `ferryman --help`
    flags: Sequence[str] | None = None  # the settings that get a flag; None: all. Other sources give all of them.

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the settings' flags; commands with arguments of their own add those first."""
        add_arguments(parser, self.flags)

    def run(self, args: argparse.Namespace) -> int:
        """Load the settings and answer; what stands in the way is told on standard error."""
        try:
            return self.answer(load(args, os.environ, Path.cwd()), args)
        except (SettingsError, CannotRun, StateError, StoreError) as reason:
            for line in str(reason).splitlines():
                print(f"ferryman {self.name}: {line}", file=sys.stderr)
            return CANNOT_RUN

    @abstractmethod
    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Do the work; returns the exit code. May raise CannotRun, StateError and StoreError."""
