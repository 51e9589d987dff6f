"""The C programs beside this file, compiled when they are first needed and kept in the cache folder."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.errors import CannotMeasure

HERE: Final = Path(__file__).parent
FLAGS: Final = ("-std=gnu11", "-O2", "-pthread")
COMPILERS: Final = ("cc", "gcc", "clang")


def cache_folder() -> Path:
    """Where compiled programs and prepared bodies are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "ferryman" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str) -> Path:
    """The compiled form of NAME.c. Raises CannotMeasure when there is no compiler or it refuses."""
    source = HERE / f"{name}.c"
    content = b"".join(path.read_bytes() for path in (source, *sorted(HERE.glob("*.h"))))
    key = hashlib.sha256(content + repr((FLAGS, os.environ.get("CC"))).encode()).hexdigest()[:16]
    compiled = cache_folder() / f"{name}-{key}"
    if not compiled.exists():
        _compile(source, compiled)
    return compiled


def compiler() -> str:
    """The C compiler: $CC, or the first that is there. Raises CannotMeasure in words that say how to get one."""
    wanted = [os.environ["CC"]] if os.environ.get("CC") else COMPILERS
    for name in wanted:
        if found := shutil.which(name):
            return found
    raise CannotMeasure(
        "The bench's clients and floors are C programs, and there is no C compiler here; "
        f"looked for: {', '.join(wanted)}. On Debian, as root: apt-get install gcc libc6-dev. "
        "Or name one: make bench CC=/path/to/cc"
    )


def _compile(source: Path, compiled: Path) -> None:
    fresh = compiled.with_name(f"{compiled.name}.{os.getpid()}")
    command = [compiler(), *FLAGS, str(source), "-o", str(fresh)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{command[0]} does not compile bench/{source.name}:\n{done.stderr.strip()}")
    fresh.replace(compiled)  # two runs may compile at the same time
