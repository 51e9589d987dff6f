"""Thousands of slow uploads at once: do all of them finish, what do they cost, and does a HEAD still get its answer?

    python -m bench.slow --uploads 10000 --kib 30

The client is `slow.c`: one process that raises its own limit of open files. Each upload trickles at 1 KiB a second, and
all are under way at the same time. A server is judged by DESIGN §11: all finish, not a byte is wrong, at most 64 KiB of
memory more for each upload, and a HEAD is answered within 100 ms in 99 of 100 cases.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import CannotMeasure
from bench.native import cache_folder, program
from bench.processes import Running, running
from bench.servers import Server, chosen

KIB: Final = 1 << 10
MEMORY_EACH: Final = 64 * KIB  # bytes that an upload may cost, beyond what the idle server has
HEAD_WITHIN: Final = 0.1  # seconds, for 99 of 100
EVERY: Final = 0.25  # seconds between two looks at the server
PATIENCE: Final = 300  # seconds, beyond what the bytes take at their rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many uploads of how many bytes, at how many bytes a second each, and HEADs a second beside them."""

    uploads: int = 10_000
    size: int = 30 * KIB
    rate: int = KIB
    heads: float = 50
    ietf: bool = True  # ask some of the HEADs in the IETF protocol
    read_back: int = 500  # uploads to compare byte by byte afterwards
    seed: int = 1

    @property
    def arguments(self) -> list[str]:
        """As slow.c takes them."""
        values = {
            "n": self.uploads,
            "b": self.size,
            "r": self.rate,
            "q": self.heads,
            "i": 16 if self.ietf else 0,
            "v": self.read_back,
            "s": self.seed,
            "t": self.size / self.rate + PATIENCE,
        }
        return [word for name, value in values.items() for word in (f"-{name}", f"{value:g}")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the client saw (see the end of slow.c for its members), and what it cost the server."""

    load: Load
    client: dict[str, Any]
    idle_bytes: int  # resident before
    most_bytes: int  # resident at most
    descriptors: int  # open at most
    threads: int  # at most
    cpu_seconds: float

    @property
    def bytes_each(self) -> float:
        """Memory that an upload cost."""
        return (self.most_bytes - self.idle_bytes) / self.load.uploads


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the report; `held` is None where nothing was promised."""

    name: str
    text: str
    held: bool | None = None

    def __str__(self) -> str:
        mark = {None: "", True: "  ok", False: "  MISSED"}[self.held]
        return f"  {self.name:<24} {self.text}{mark}"


def drive(port: int, load: Load, *, tell: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Run the client against any tus server on loopback. `tell` gets its progress line by line.

    Raises CannotMeasure when there is no compiler, or the machine does not let it open so many connections.
    """
    command = [str(program("slow")), *load.arguments, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        last = ""
        try:
            for line in client.stderr:
                last = line.strip()
                if tell is not None:
                    tell(last)
            said = client.stdout.read()
        finally:
            client.terminate()
    if not said:
        raise CannotMeasure(f"the client of slow uploads gave up: {last}")
    outcome: dict[str, Any] = json.loads(said)
    return outcome


def measure(server: Server, load: Load, data: Path, *, tell: Callable[[str], None] | None = None) -> Outcome:
    """Start the server over a folder, which exists, and let the load on it. Raises CannotMeasure."""
    with running(server, data) as process, _Watch(process.pid) as watch:
        idle, cpu = watch.look(), process.cpu_seconds()
        client = drive(process.port, load, tell=tell)
        watch.look()
        return Outcome(
            load=load,
            client=client,
            idle_bytes=idle,
            most_bytes=watch.most_bytes,
            descriptors=watch.descriptors,
            threads=watch.threads,
            cpu_seconds=_after(process, cpu),
        )


def _after(process: Running, before: float) -> float:
    return process.cpu_seconds() - before


class _Watch:
    """Looks at a process now and then, and remembers the most of everything."""

    def __init__(self, pid: int) -> None:
        self.most_bytes = self.descriptors = self.threads = 0
        self._place = Path(f"/proc/{pid}")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> int:
        """The memory that is resident now, in bytes."""
        fields = dict(line.split(":", 1) for line in (self._place / "status").read_text().splitlines())
        resident = int(fields["VmRSS"].split()[0]) * KIB
        self.most_bytes = max(self.most_bytes, resident)
        self.threads = max(self.threads, int(fields["Threads"]))
        self.descriptors = max(self.descriptors, len(os.listdir(self._place / "fd")))
        return resident

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self.look()
            except (OSError, KeyError):  # it has ended: whoever waits for its answers says so
                return


def judge(outcome: Outcome) -> list[Verdict]:
    """Every figure as a line; those with a budget say whether it was kept."""
    client, load = outcome.client, outcome.load
    heads = client["tus_heads_s"]
    told = {f"answered {status}": count for status, count in client["statuses"].items() if not status.startswith("2")}
    cuts = ", ".join(f"{count} {what}" for what, count in (client["cuts"] | told).items()) or "none"
    kib_sent = client["sent"] / KIB
    lines = [
        Verdict("all under way", f"after {client['ramp_s']:.1f} s", client["ramp_s"] > 0),
        Verdict(
            "finished",
            f"{client['done']:,} of {load.uploads:,}, {client['slow_s']:.1f} s later",
            client["done"] == load.uploads,
        ),
        Verdict("wrong files", f"{client['wrong']} of {client['read_back']} read back", client["wrong"] == 0),
        Verdict("tus HEAD", times(heads), heads["count"] > 0 and heads["p99"] <= HEAD_WITHIN),
        Verdict("… before one had ended", times(client["early_heads_s"])),
        Verdict(
            "wrong HEADs", f"{client['heads_wrong']}, and {client['heads_failed']} without an answer", _no_bad(client)
        ),
        Verdict("sent, not told by HEAD", _sizes(client["untold_bytes"])),
        Verdict("creation", times(client["creating_s"])),
        Verdict("last byte to answer", times(client["ending_s"])),
        Verdict("broken off", f"{cuts}; {client['sent_again']:,} bytes sent again"),
        Verdict(
            "memory",
            f"{outcome.idle_bytes / 1e6:.0f} MB idle, {outcome.most_bytes / 1e6:.0f} MB at most: "
            f"{outcome.bytes_each / KIB:.1f} KiB an upload",
            outcome.bytes_each <= MEMORY_EACH,
        ),
        Verdict("CPU", f"{outcome.cpu_seconds:.1f} s: {outcome.cpu_seconds / kib_sent * 1e3:.3f} ms a KiB"),
        Verdict("descriptors, threads", f"{outcome.descriptors:,} and {outcome.threads} at most"),
    ]
    if client["refusal"]:
        lines.append(Verdict("first refusal", client["refusal"]))
    if load.ietf:
        lines.insert(5, Verdict("IETF HEAD", times(client["ietf_heads_s"])))
    return lines


def _no_bad(client: dict[str, Any]) -> bool:
    return not client["heads_wrong"] and not client["heads_failed"]


def times(figures: dict[str, float]) -> str:
    """Percentiles of a time, as the client tells them, and of how many."""
    values = (f"{name} {figures[name] * 1e3:.1f}" for name in ("p50", "p99", "max"))
    return f"{', '.join(values)} ms ({figures['count']:,})"


def _sizes(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {figures[name]:,.0f}" for name in ("p50", "p99", "max")) + " bytes"


def show(server: Server, load: Load, data: Path) -> Outcome:
    """Measure one server, with its progress and its report on the terminal."""
    live = sys.stderr.isatty()
    print(f"\n{server.title}", flush=True)

    def tell(line: str) -> None:
        if live:
            print(f"\r\x1b[K  {line}", end="", file=sys.stderr, flush=True)

    try:
        outcome = measure(server, load, data, tell=tell)
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    print("\n".join(map(str, judge(outcome))), flush=True)
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit code 1 when a budget of ours was missed, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--uploads", type=int, default=10_000, help="at once (default: 10000)")
    parser.add_argument("--kib", type=int, default=30, help="size of each, in KiB (default: 30)")
    parser.add_argument("--heads", type=float, default=50, help="HEADs a second beside them (default: 50)")
    parser.add_argument("--servers", nargs="+", default=["ferryman"], metavar="NAME", help="(default: ferryman)")
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to measure (default: the cache folder)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the outcomes there too")
    args = parser.parse_args(arguments)
    try:
        servers, missing = chosen(args.servers, lambda name, wanted: name in wanted)
        for server in missing:
            print(f"not measured: {server.name}: {server.why}")
        print(f"{args.uploads:,} uploads of {args.kib} KiB at 1 KiB/s each, {args.heads:g} HEADs a second beside them")
        outcomes: dict[str, Outcome] = {}
        for each in servers:
            load = Load(uploads=args.uploads, size=args.kib * KIB, heads=args.heads, ietf=each.kind == "ours")
            with tempfile.TemporaryDirectory(dir=args.dir or cache_folder()) as folder:
                outcomes[each.name] = show(each, load, Path(folder))
    except CannotMeasure as reason:
        print(f"bench.slow: {reason}", file=sys.stderr)
        return 2
    if args.json is not None:
        args.json.write_text(json.dumps({name: asdict(outcome) for name, outcome in outcomes.items()}, indent=2) + "\n")
    ours = (outcomes[each.name] for each in servers if each.kind == "ours")
    return 1 if any(verdict.held is False for outcome in ours for verdict in judge(outcome)) else 0


if __name__ == "__main__":
    sys.exit(main())
