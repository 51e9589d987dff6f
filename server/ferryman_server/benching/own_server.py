"""A server of our own to rate: `ferryman serve` as a child on a free loopback port, and nothing is left of it.

Its data folder is a temporary one on the disk that is meant, its objects lie below a prefix of their own, its port is
whatever is free. No settings file and no FERRYMAN_* variable reaches it but those named here; nothing is made of the
archives in the background, since that is not what is measured.
"""

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from ferryman_server.benching.address import Address
from ferryman_server.benching.errors import CannotRate
from ferryman_server.benching.own_prefix import own_prefix
from ferryman_server.benching.stopping import stop
from ferryman_server.settings import PREFIX, Settings

START_WITHIN: Final = 60.0  # seconds
STOP_WITHIN: Final = 30.0
PASSED_ON: Final = ("durability", "s3_endpoint", "s3_checksum", "s3_memory")  # settings that matter here
_LISTENS: Final = re.compile(rb"listens on (http://\S+)")


@contextmanager
def own_server(settings: Settings, place: Path, needed: int) -> Iterator[Address]:
    """A server over an empty folder in `place`, which exists and has to have room for `needed` bytes.

    Raises CannotRate, and StoreError where a bucket cannot be used.
    """
    with ExitStack() as stack:
        stack.enter_context(_stopped_alike())
        folder = stack.enter_context(_folder(place))
        free = shutil.disk_usage(folder).free
        if settings.store == "local" and free < needed:
            raise CannotRate(
                f"{place} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed: name a folder on another "
                "disk with --data"
            )
        store = stack.enter_context(own_prefix(settings)) if settings.in_bucket else settings.store
        yield stack.enter_context(_serving(settings, folder, store))


@contextmanager
def _folder(place: Path) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix=".ferryman-bench-", dir=place))
    except OSError as error:
        raise CannotRate(
            f"no folder can be made in {place}: {error.strerror or error}; name another with --data"
        ) from error
    try:
        (folder / "data").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(settings: Settings, folder: Path, store: str) -> Iterator[Address]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ferryman_cli", "serve", *_flags(settings, folder / "data", store)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,  # no ferryman.toml there
            env=environment,
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                yield _address(process.stdout, process, log)
        finally:
            stop(process, STOP_WITHIN)


def _flags(settings: Settings, data: Path, store: str) -> list[str]:
    values = {name: getattr(settings, name) for name in PASSED_ON}
    values |= {"host": "127.0.0.1", "port": 0, "data": data, "store": store, "log_level": "error"}
    told = ((name, value) for name, value in values.items() if value is not None)
    return ["--no-previews", *(f"--{name.replace('_', '-')}={value}" for name, value in told)]


def _address(told: IO[bytes], process: subprocess.Popen[bytes], log: IO[bytes]) -> Address:
    said, over = b"", time.monotonic() + START_WITHIN
    with selectors.DefaultSelector() as selector:
        selector.register(told, selectors.EVENT_READ)
        while (found := _LISTENS.search(said)) is None or not said.endswith(b"\n"):
            if not selector.select(max(0.0, over - time.monotonic())):
                raise CannotRate(f"a server of our own did not start within {START_WITHIN:.0f} s")
            more = os.read(told.fileno(), 1 << 16)
            if not more:
                process.wait(STOP_WITHIN)
                log.seek(0)
                last = log.read()[-1000:].decode(errors="replace").strip()
                raise CannotRate(f"a server of our own did not start; it said: {last or 'nothing'}")
            said += more
    return Address.of(found[1].decode())


@contextmanager
def _stopped_alike() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does: server and data go too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
