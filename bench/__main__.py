"""`make bench`: a first look at the speed of uploads, ours beside tusd's when there is one, in alternating rounds.

It measures on the disk of `--dir`. Machines differ: read the ratios, not the figures.
"""

import argparse
import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.load import Target, many_small, one_large
from bench.servers import Server, present, started

MIB = 1 << 20


def main() -> None:
    """Run the scenarios and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; medians are shown (default: 5)")
    parser.add_argument("--mib", type=int, default=1024, help="size of the large upload in MiB (default: 1024)")
    parser.add_argument("--dir", type=Path, default=None, help="where to put the data (default: the temporary folder)")
    args = parser.parse_args()
    servers, missing = present()
    for name in missing:
        print(f"not measured: {name}")
    size, small = args.mib * MIB, 1600
    scenarios: dict[str, tuple[Callable[[Target], float], float, str]] = {
        f"{args.mib} MiB, one PATCH": (lambda target: one_large(target, size, size), size / 1e6, "MB/s"),
        f"{args.mib} MiB, 8 MiB PATCHes": (lambda target: one_large(target, size, 8 * MIB), size / 1e6, "MB/s"),
        "1 KiB × 1600, 16 connections": (lambda target: many_small(target, small, 1024, 16), small, "uploads/s"),
    }
    for title, (run, amount, unit) in scenarios.items():
        print(f"\n{title} ({unit})")
        rates: dict[str, list[float]] = {server.name: [] for server in servers}
        peaks: dict[str, int] = {}
        for _ in range(args.rounds):
            for server in servers:
                seconds, peaks[server.name] = _measure(server, run, args.dir)
                rates[server.name].append(amount / seconds)
        for name, values in rates.items():
            spread = " ".join(f"{value:.0f}" for value in values)
            print(f"  {name:16} median {statistics.median(values):7.0f}   rounds {spread}   peak {peaks[name]} MB")


def _measure(server: Server, run: Callable[[Target], float], place: Path | None) -> tuple[float, int]:
    with tempfile.TemporaryDirectory(dir=place) as folder, started(server, Path(folder) / "data") as (target, pid):
        seconds = run(target)
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return seconds, int(peak[1]) // 1000 if peak else 0


if __name__ == "__main__":
    main()
