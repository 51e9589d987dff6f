"""The shim: compiled when it is first needed, kept in the cache folder, and put under a server by its environment."""

import hashlib
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("shim.c")
FLAGS: Final = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-pthread")
COMPILERS: Final = ("cc", "gcc", "clang")
_CONTROL: Final = struct.Struct("=IIII240s")


def library() -> Path:
    """The compiled shim. Raises AssertionError in words that say how to get a compiler when there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "ferryman" / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(SOURCE.read_bytes() + repr(FLAGS).encode()).hexdigest()[:16]
    compiled = folder / f"power-{key}.so"
    if not compiled.exists():
        _compile(compiled)
    return compiled


def _compile(compiled: Path) -> None:
    wanted = [os.environ["CC"]] if os.environ.get("CC") else COMPILERS
    found = next(filter(None, map(shutil.which, wanted)), None)
    assert found is not None, (
        f"the power-cut model is compiled, and there is no C compiler here; looked for: {', '.join(wanted)}. "
        "On Debian, as root: apt-get install gcc libc6-dev"
    )
    fresh = compiled.with_name(f"{compiled.name}.{os.getpid()}")
    done = subprocess.run([found, *FLAGS, SOURCE, "-o", fresh, "-ldl"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{found} does not compile {SOURCE.name}:\n{done.stderr}"
    fresh.replace(compiled)  # two runs may compile at the same time


@dataclass(frozen=True, slots=True)
class Watch:
    """A folder whose every change is logged, and the log. `root` is durable as it stands when the first process
    starts."""

    root: Path
    beside: Path

    @classmethod
    def over(cls, root: Path, beside: Path, *, boot: int = 0, joined: bool = True) -> "Watch":
        """Watch `root`; the log and its like go into the folder `beside`, which is made. `boot` stands for the boot of
        the machine, `joined` for a file system on which one sync for many files is to be trusted."""
        beside.mkdir(parents=True)
        watch = cls(root.resolve(), beside)
        watch.log.touch()
        watch._control.write_bytes(bytes(_CONTROL.size))
        (beside / "boot_id").write_text(f"{boot:08x}-0000-4000-8000-000000000000\n")
        (beside / "mounts").write_text(f"1 0 8:1 / / rw - {'ext4' if joined else 'tmpfs'} /dev/disk rw\n")
        return watch

    @property
    def log(self) -> Path:
        """The file that the operations are written to."""
        return self.beside / "operations"

    def environment(self, *, seed: int = 0, delay: int = 400, folders: int = 2) -> Mapping[str, str]:
        """What a process needs in its environment. `delay`: the most microseconds that a sync takes; `folders`: how
        many folders uploads share (1, 2 or 4; 0: as chance has it)."""
        return {
            "LD_PRELOAD": str(library()),
            "POWER_ROOT": str(self.root),
            "POWER_LOG": str(self.log),
            "POWER_CONTROL": str(self._control),
            "POWER_BOOT": str(self.beside / "boot_id"),
            "POWER_MOUNTS": str(self.beside / "mounts"),
            "POWER_SEED": str(seed),
            "POWER_DELAY": str(delay),
            "POWER_FOLDERS": str(folders),
        }

    @property
    def _control(self) -> Path:
        return self.beside / "control"

    def size(self) -> int:
        """The size of the log by now, in bytes: a moment that can be compared with its records."""
        return self.log.stat().st_size

    def die(self, after: int = 0) -> None:
        """Let the process die as by kill -9, once it has made `after` more calls; in the middle of one that writes."""
        self._set(0, after + 1)

    def live(self) -> None:
        """Take `die` back, if no process has died by it."""
        self._set(0, 0)

    def fail_syncs(self, one_in: int, *, of: str = "") -> None:
        """Let one in so many syncs fail, by chance (0: none), of files and folders with `of` in their path."""
        self._set(4, 0)
        self._set_match(of)
        self._set(4, one_in)

    def failed_syncs(self) -> int:
        """How many syncs have failed so far."""
        return int(_CONTROL.unpack(self._control.read_bytes())[3])

    def _set(self, at: int, *values: int) -> None:
        with self._control.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as page:
            struct.pack_into(f"={len(values)}I", page, at, *values)

    def _set_match(self, text: str) -> None:
        with self._control.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as page:
            struct.pack_into("=240s", page, 16, text.encode())
