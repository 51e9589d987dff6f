"""What takes long to make and is the same every time: made once, and kept in the user's cache.

Whoever makes it names it after all that it depends on, so that a change of recipe has another name. It is made beside
its place and moved there whole. Of two processes that make it at once the first one's stays: what a path names never
changes under someone who reads it.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def kept(place: str, make: Callable[[Path], None]) -> Path:
    """The file or folder at `place` in the cache; when it is not there, `make` makes it at the path it is given."""
    target = cache() / place
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
            made = Path(folder) / target.name
            make(made)
            _move(made, target)
    return target


def cache() -> Path:
    """Our part of the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferryman"


def _move(made: Path, target: Path) -> None:
    try:
        if made.is_dir():
            made.rename(target)  # refused where a folder is that holds something
        else:
            target.hardlink_to(made)  # refused where a file is
    except OSError:
        if not target.exists():
            raise
