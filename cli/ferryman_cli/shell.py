"""The shell around the subcommands: find the one that was asked for, load it, run it.

Subcommands are entry points of the group `ferryman.commands`. What an entry point loads has the shape of
:class:`Command`. Only the chosen one is loaded, so `ferryman ls` does not pay for the server's imports; `--help` loads
all of them for their one-line descriptions. The extra in an entry point's brackets is what `pip` must install for it.

Exit codes: what the command returns (0 fine, 1 problems found, 2 cannot run); 2 also for a command that is unknown or
not installed; 130 after Ctrl-C.
"""

import argparse
import difflib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Final, Protocol

DISTRIBUTION: Final = "ferryman"
GROUP: Final = "ferryman.commands"
OWN_PACKAGES: Final = ("ferryman_protocol", "ferryman_server", "ferryman_client", "ferryman_cli")
CANNOT_RUN: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count


class Command(Protocol):
    """What an entry point of the group loads."""

    @property
    def help(self) -> str:
        """One line for `ferryman --help`."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code."""


class NotInstalled(Exception):
    """A command cannot be loaded because a module that its extra brings is missing or broken."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name must never break a listing on a narrow locale
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `ferryman ls | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return code


def _dispatch(argv: list[str]) -> int:
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    match argv:
        case []:
            print(_overview(entries), file=sys.stderr)
            return CANNOT_RUN
        case ["-h" | "--help", *_]:
            print(_overview(entries))
            return 0
        case ["--version", *_]:
            print(f"{DISTRIBUTION} {_version()}")
            return 0
        case [name, *rest] if name in entries:
            return _run(entries[name], rest)
        case _:
            print(_unknown(argv[0], entries), file=sys.stderr)
            return CANNOT_RUN


def _run(entry: EntryPoint, argv: list[str]) -> int:
    try:
        command = _load(entry)
    except NotInstalled as missing:
        print(f"ferryman {entry.name} needs: {missing}", file=sys.stderr)
        return CANNOT_RUN
    parser = argparse.ArgumentParser(prog=f"ferryman {entry.name}", description=command.help, allow_abbrev=False)
    command.configure(parser)
    try:
        args = parser.parse_args(argv)
    except SystemExit as parsed:  # argparse has printed its help (0) or what was wrong (2)
        return parsed.code if isinstance(parsed.code, int) else CANNOT_RUN
    return command.run(args)


def _load(entry: EntryPoint) -> Command:
    """Load the entry point. Raises NotInstalled when a module of somebody else's is what is missing."""
    try:
        command: Command = entry.load()
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        if module in OWN_PACKAGES:
            raise
        raise NotInstalled(_remedy(entry, module)) from error
    return command


def _remedy(entry: EntryPoint, module: str) -> str:
    owner = entry.dist.name if entry.dist is not None else DISTRIBUTION
    if entry.extras:
        return f"pip install {owner}[{','.join(entry.extras)}]"
    return f"the Python module {module or '(unnamed)'}, which is not installed"


def _overview(entries: Mapping[str, EntryPoint]) -> str:
    lines = ["usage: ferryman [--help] [--version] COMMAND [options]", "", "commands:"]
    width = max((len(name) for name in entries), default=0)
    lines += [f"  {name:<{width}}  {_description(entries[name])}" for name in sorted(entries)]
    if not entries:
        lines.append("  none: this installation of ferryman is incomplete, install it again")
    return "\n".join([*lines, "", "`ferryman COMMAND --help` tells a command's options."])


def _description(entry: EntryPoint) -> str:
    try:
        return _load(entry).help
    except NotInstalled as missing:
        return f"(needs: {missing})"


def _unknown(word: str, entries: Mapping[str, EntryPoint]) -> str:
    what = "option" if word.startswith("-") else "command"
    near = difflib.get_close_matches(word, entries, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Commands: {', '.join(sorted(entries))}."
    return f"ferryman: there is no {what} '{word}'. {hint}"


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"
