"""An archive of frames on its way to the library: how soon frames are there, and what indexing costs.

    python -m bench.frames                into the local store
    python -m bench.frames --into minio   into MinIO

For 10, 100, 500 and 5,000 raw frames of 320 × 240 (stored, one TCP connection, as fast as the server takes them):

- the first frame: seconds from the first MiB (MinIO: the first acknowledged part), the sender waiting, to its listing;
- ready: seconds from the answer to the last byte to the medium in the library;
- throughput, beside the same bytes with `process=none`, in alternating rounds.

And of a film's frames deflated, without a server: what the walker takes beside Python's zipfile. DESIGN §11 has the
budgets.
"""

import argparse
import io
import json
import random
import statistics
import sys
import tempfile
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from bench.bucket import Depot
from bench.errors import CannotMeasure
from bench.native import cache_folder
from bench.processes import Running, running
from bench.scenarios import MIB
from bench.servers import Server, chosen
from bench.slow import Verdict
from ferryman_server.media.zip_index import Walker
from tests.support.archive import frames_archive
from tests.support.raw_http import RawClient
from tests.support.uploading import append_head, create

COUNTS: Final = (10, 100, 500, 5000)  # frames
WIDTH, HEIGHT = 320, 240
SIZE: Final = WIDTH * HEIGHT * 2  # bytes of a frame
FIRST: Final = {"disk": MIB, "minio": 9 * MIB}  # bytes after which the sender waits: a first part is 8 MiB
MOST_FIRST: Final = 0.2  # seconds
MOST_READY: Final = 0.1
LEAST_RATE: Final = 0.75  # of what it is without indexing
LEAST_WALK: Final = 1.5  # times zipfile's speed
PIECE: Final = 1 << 20  # bytes
PATIENCE: Final = 60.0  # seconds


@dataclass
class Found:
    """The samples of one size of archive."""

    first: list[float] = field(default_factory=list)  # seconds
    ready: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)  # bytes a second
    plain: list[float] = field(default_factory=list)  # the same, not indexed


def archive(count: int) -> bytes:
    """So many frames, stored, none like another: what they show is a matter of chance."""
    chance, out = random.Random(count), io.BytesIO()
    noise = chance.randbytes(SIZE)
    said = {"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": 25, "frames": count}
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("metadata.json", json.dumps(said))
        for number in range(count):
            turned = chance.randrange(SIZE)
            packed.writestr(f"frames/frame_{number:05}.rgb", noise[turned:] + noise[:turned])
    return out.getvalue()


def deflated() -> bytes:
    """The frames of a film, deflated: how well that goes is a matter of what they show."""
    out = io.BytesIO()
    with zipfile.ZipFile(frames_archive()) as film, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in film.namelist():
            packed.writestr(name, film.read(name))
    return out.getvalue()


def measure(server: Server, rounds: int, *, into: str, place: Path) -> dict[int, Found]:
    """Start the server in a folder, which exists, and upload every size of archive so often. Raises CannotMeasure."""
    for name in ("minio", "data"):
        (place / name).mkdir()
    found = {count: Found() for count in COUNTS}
    with ExitStack() as stack:
        depot = stack.enter_context(Depot(place / "minio")) if into == "minio" else None
        bucket = stack.enter_context(depot.bucket(keep=True)) if depot else None
        target = stack.enter_context(running(server, place / "data", bucket))
        sender = _Sender(target)
        sender.upload(archive(2), "warm.zip")  # what is loaded once is loaded
        for count in COUNTS:
            data = archive(count)
            for number in range(rounds):
                sender.round(data, f"{count}-{number}", found[count], hold=FIRST[into])
    return found


class _Sender:
    """Uploads archives, and asks for what has become of them."""

    def __init__(self, target: Running) -> None:
        self._target = target
        self._url = f"http://127.0.0.1:{target.port}"
        self._api = httpx.Client(base_url=self._url)

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self._target.port

    @property
    def url(self) -> str:
        """The server's."""
        return self._url

    def round(self, data: bytes, name: str, found: Found, *, hold: int) -> None:
        """One upload with indexing, one without, and one that waits for its first frame."""
        rate, ready = self.upload(data, f"{name}.zip")
        found.rate.append(rate)
        found.ready.append(ready)
        found.plain.append(self.upload(data, f"{name}.bin", process="none")[0])
        if len(data) > 2 * hold:
            found.first.append(self.first_frame(data, f"{name}-first.zip", hold))

    def upload(self, data: bytes, name: str, **more: str) -> tuple[float, float]:
        """Bytes a second, and seconds until it is in the library (0 where it is not to be)."""
        path = self._create(len(data), name, **more)
        began = time.perf_counter()
        self._put(path, data)
        ended = time.perf_counter()
        if not more:
            self._until(lambda: self._frames(path)["phase"] == "ready")
        return len(data) / (ended - began), time.perf_counter() - ended

    def first_frame(self, data: bytes, name: str, hold: int) -> float:
        """Seconds from the last of these first bytes to a frame that is listed."""
        path = self._create(len(data), name)
        with RawClient(self.port) as client:
            client.send(append_head("tus", path, 0, size=len(data)))
            client.send(data[:hold])
            began = time.perf_counter()
            self._until(lambda: bool(self._frames(path)["frames"]))
            return time.perf_counter() - began

    def _create(self, size: int, name: str, **more: str) -> str:
        pairs = {"filename": name, **more}.items()
        metadata = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs)
        return create(self, "tus", f"Upload-Metadata: {metadata}", "Content-Length: 0", length=size)

    def _put(self, path: str, data: bytes) -> None:
        with RawClient(self.port) as client:
            client.send(append_head("tus", path, 0, size=len(data)))
            client.send(data)
            status = client.responses()[-1].status
        if status != 204:
            raise CannotMeasure(f"an archive was answered {status}")

    def _frames(self, path: str) -> dict[str, Any]:
        answer = self._api.get(f"/api/uploads/{path.rpartition('/')[2]}/frames?limit=1")
        if answer.status_code != 200:
            raise CannotMeasure(f"frames were answered {answer.status_code}: {answer.text[:200]}")
        return dict(answer.json())

    def _until(self, check: Callable[[], bool]) -> None:
        over = time.monotonic() + PATIENCE
        while not check():
            if time.monotonic() > over:
                raise CannotMeasure("the frames did not come")
            time.sleep(0.001)


def walk(rounds: int) -> float:
    """How many times as fast as Python's zipfile the walker is, in memory."""
    data, ratios = deflated(), []
    for _ in range(rounds):
        plain, walked = _timed(lambda: _unpack(data)), _timed(lambda: _walk(data))
        ratios.append(plain / walked)
    return statistics.median(ratios)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _unpack(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for name in packed.namelist():
            packed.read(name)


def _walk(data: bytes) -> None:
    walker, whole = Walker(), memoryview(data)
    for start in range(0, len(data), PIECE):
        walker.feed(whole[start : start + PIECE])
    walker.finish()


def judge(found: dict[int, Found], walked: float) -> list[Verdict]:
    """Every figure as a line, with whether the budget holds."""
    lines = []
    for count, samples in found.items():
        lines.append(_seconds(f"{count} frames: first listed", samples.first, MOST_FIRST))
        lines.append(_seconds(f"{count} frames: ready", samples.ready, MOST_READY))
        ratios = [rate / plain for rate, plain in zip(samples.rate, samples.plain, strict=True)]
        ratio, rate = statistics.median(ratios), statistics.median(samples.rate)
        text = f"{rate / 1e6:.0f} MB/s, × {ratio:.2f} of not indexed ({min(ratios):.2f} to {max(ratios):.2f})"
        held = ratio >= LEAST_RATE if count >= 500 else None  # smaller ones are over before there is a rate
        lines.append(Verdict(f"{count} frames: throughput", text, held))
    lines.append(Verdict("deflated: the walker beside zipfile", f"× {walked:.2f}", walked >= LEAST_WALK))
    return lines


def _seconds(what: str, values: Sequence[float], most: float) -> Verdict:
    if not values:
        return Verdict(what, "not measured: the archive is too small")
    middle = statistics.median(values)
    text = f"{middle * 1e3:.0f} ms ({min(values) * 1e3:.0f} to {max(values) * 1e3:.0f})"
    return Verdict(what, text, middle <= most)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit code 1 when a budget was broken, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.frames", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="uploads of each size (default: 5)")
    parser.add_argument("--into", choices=("disk", "minio"), default="disk", help="where it stores (default: disk)")
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to measure (default: the cache folder)")
    args = parser.parse_args(arguments)
    try:
        (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
        with tempfile.TemporaryDirectory(dir=args.dir or cache_folder()) as folder:
            found = measure(server, args.rounds, into=args.into, place=Path(folder))
    except CannotMeasure as reason:
        print(f"bench.frames: {reason}", file=sys.stderr)
        return 2
    verdicts = judge(found, walk(args.rounds))
    print(f"{server.title}, into {args.into}: archives of frames")
    print("\n".join(map(str, verdicts)))
    return 1 if any(verdict.held is False for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
