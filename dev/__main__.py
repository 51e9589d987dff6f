"""`make dev`: run the services of docker-compose.yml here until Ctrl-C; their data stay in ./data/dev."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Final

from dev.compose import Service, read_services, with_needs
from dev.errors import CannotRun
from dev.native import ROOT
from dev.stack import Stack

FILE: Final = ROOT / "docker-compose.yml"
FOLDER: Final = ROOT / "data/dev"


def main() -> int:
    """Run them and return the exit code."""
    parser = argparse.ArgumentParser(prog="make dev", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these and what they need (default: all)")
    parser.add_argument("--data", type=Path, default=FOLDER, help="where their data stay (default: ./data/dev)")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # Ctrl-C too: a shell's background jobs begin with it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        services = read_services(FILE.read_text(), os.environ)
        run(with_needs(services, arguments.services or list(services)), arguments.data.absolute())
    except KeyboardInterrupt:
        return 0
    except CannotRun as reason:
        print(f"make dev: {reason}.", file=sys.stderr)
    return 1


def run(services: dict[str, Service], folder: Path) -> None:
    """Run the services until one ends by itself (CannotRun) or Ctrl-C."""
    with Stack(services, folder, lambda line: print(line, flush=True)) as stack:
        print("\nAll is well:", *addresses(services), "Ctrl-C ends it.\n", sep="\n  ", flush=True)
        stack.watch()


def addresses(services: dict[str, Service]) -> list[str]:
    """Where each service can be reached."""
    width = max(map(len, services))
    return [
        f"{name:<{width}}  http://127.0.0.1:{port}/" for name, each in services.items() for port in each.ports.values()
    ]


if __name__ == "__main__":
    sys.exit(main())
