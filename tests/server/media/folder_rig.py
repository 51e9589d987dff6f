"""Folders that are replaced, with a text in each."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from ferryman_server.media.atomic_folder import replaced

MARK = "ours"  # a file that makes a folder ours, in these tests
LEFT = ".ferryman-" + "a" * 26


class Broken(Exception):
    """Filling a folder did not go well."""


def others(folder: Path) -> str | None:
    """A folder is ours if it has the mark."""
    return None if (folder / MARK).is_file() else "no mark"


def put(target: Path, text: str, *, durable: bool = False) -> None:
    """Replace a folder by one with this text in it."""
    with replaced(target, others, durable=durable) as fresh:
        (fresh / "deep").mkdir()
        (fresh / "deep" / "text").write_text(text)
        (fresh / MARK).touch()


def put_while(target: Path, meanwhile: Callable[[], None]) -> None:
    """Replace a folder, while something else happens."""
    with replaced(target, others, durable=False) as fresh:
        (fresh / MARK).touch()
        meanwhile()


def breaks() -> None:
    """Something goes wrong."""
    raise Broken


def text(target: Path) -> str | None:
    """What is in it; None: it is not there."""
    return (target / "deep" / "text").read_text() if target.exists() else None


def refused(one: Path, other: Path) -> None:
    """What a file system says that cannot exchange two names."""
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
