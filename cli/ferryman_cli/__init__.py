"""The `ferryman` command: a shell that finds its subcommands by entry point and imports none of our other packages."""

from ferryman_cli.shell import main

__all__ = ["main"]
