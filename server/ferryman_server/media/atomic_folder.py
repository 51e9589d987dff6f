"""A folder that is replaced as a whole: who reads it finds the old one or the new one, and never something between.

    .ferryman-<id>            made beside the folder, filled, synced
    rename                    the two change places in one step (Linux: RENAME_EXCHANGE), or the name was free
    .ferryman-<id>            is the old one now, and removed

Where a file system cannot exchange two names, the old folder is moved to `.ferryman-<id>-was-NAME` first, and for an
instant there is none; after a crash in that instant it is moved back by whoever works beside it next.

A folder that is being filled, replaced or removed is locked. What a crash leaves over is recognised by its name and by
nobody's holding the lock, and removed by the next one who works in the same place; on a file system without locks it
stays, for a person to remove.

Only what is ours is ever replaced or removed: the caller says what that is (:data:`Ours`).
"""

import errno
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from ferryman_protocol.ids import new_id
from ferryman_server.media.folder_calls import CANNOT_EXCHANGE, exchange, is_at, lock, make_durable, open_folder, sync

Ours: TypeAlias = Callable[[Path], str | None]
"""What in this folder is not ours, in words that complete "it holds …"; None: nothing. May raise OSError."""

PATIENCE: Final = 10.0  # seconds that others who replace the same folder have for it
_PAUSE: Final = 0.01  # seconds between two tries

_LEFT: Final = re.compile(r"\.ferryman-[a-z2-7]{26}(?:-was-(.+))?", re.DOTALL)
_QUICKER: Final = frozenset({errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST})  # somebody else has just changed it


class FolderRefused(Exception):
    """This folder cannot be used. `str()` says why, and what to do."""


@contextmanager
def replaced(target: Path, ours: Ours, *, durable: bool) -> Iterator[Path]:
    """Fill the empty folder that is given: at the end of the `with` it is `target`, whole, and what was there is gone.

    Where the block raises, and wherever the process dies, `target` is what it was. `durable`: all of it is synced
    before. Raises FolderRefused, and OSError.
    """
    target = checked(target, ours)
    cleared(target.parent, ours)
    fresh, descriptor = _fresh(target.parent)
    try:
        yield fresh
        with suppress(FileNotFoundError):
            os.chmod(fresh, stat.S_IMODE(os.lstat(target).st_mode))
        if durable:
            make_durable(descriptor, fresh)
        _switch(fresh, target, ours, durable=durable)
    finally:
        if is_at(fresh, descriptor):  # it is not in the target's place
            shutil.rmtree(fresh, ignore_errors=True)
        os.close(descriptor)


def removed(target: Path, ours: Ours) -> None:
    """Remove a folder in one step; one that is not there is fine. Raises FolderRefused, and OSError."""
    target = checked(target, ours)
    with suppress(FileNotFoundError), _held(target):
        checked(target, ours)
        gone = _beside(target.parent)
        os.rename(target, gone)
        shutil.rmtree(gone, ignore_errors=True)


def cleared(folder: Path, ours: Ours) -> None:
    """Remove what crashes have left in this folder, and move back what one had moved away. Raises OSError."""
    for name in os.listdir(folder):
        found = _LEFT.fullmatch(name)
        if found is not None:
            with suppress(OSError):  # somebody else is quicker
                _clear(folder / name, found[1], ours)


def checked(target: Path, ours: Ours) -> Path:
    """The folder's absolute path, if it may be replaced: it is not there, or empty, or ours. Raises FolderRefused, and
    OSError."""
    target = Path(os.path.abspath(target))  # as it is written: a link to it is not it
    if os.path.islink(target):
        raise FolderRefused(f"{target} is a symbolic link: name the folder itself")
    if _is_mount(target):
        raise FolderRefused(f"{target} is where a file system begins, which cannot be replaced: name a folder in it")
    if not os.path.isdir(target.parent):
        raise FolderRefused(f"there is no folder {target.parent}: make it first")
    while True:
        try:
            descriptor = open_folder(target)
        except FileNotFoundError:
            return target
        except NotADirectoryError:
            raise FolderRefused(f"{target} is not a folder") from None
        try:
            others = _others(target, ours)
            if others is None:
                return target
            if is_at(target, descriptor):  # else it was replaced, and removed, while it was looked at
                raise _refused(target, others)
        finally:
            os.close(descriptor)


def _is_mount(target: Path) -> bool:
    """Whether a file system begins there. (`os.path.ismount` follows links on the way, and loses its way in /proc.)"""
    try:
        here, above = os.lstat(target), os.lstat(target / "..")
    except (FileNotFoundError, NotADirectoryError):
        return False
    return here.st_dev != above.st_dev or os.path.samestat(here, above)


def _others(folder: Path, ours: Ours) -> str | None:
    try:
        return ours(folder) if os.listdir(folder) else None
    except FileNotFoundError:
        return "nothing"


def _refused(target: Path, others: str) -> FolderRefused:
    return FolderRefused(
        f"{target} holds {others}: name an empty folder, one that is not there, or one that was extracted before"
    )


# -- changing places ---------------------------------------------------------------------------------------------------


def _switch(fresh: Path, target: Path, ours: Ours, *, durable: bool) -> None:
    """Make `fresh` the target, and remove what was there."""
    while True:
        try:
            os.rename(fresh, target)  # in the place of an empty folder, or of none
            old = None
        except OSError as error:
            if error.errno not in _QUICKER or not fresh.exists():
                raise
        else:
            break
        with suppress(FileNotFoundError), _held(target):
            checked(target, ours)
            old = _moved_out(fresh, target, ours)
            if old is not None:
                if durable:
                    sync(target.parent)
                shutil.rmtree(old, ignore_errors=True)  # what stays is left over
                return
    if durable:
        sync(target.parent)


def _moved_out(fresh: Path, target: Path, ours: Ours) -> Path | None:
    """Exchange the two; where the old one is now. None: somebody was quicker."""
    try:
        exchange(fresh, target)
    except OSError as error:
        if error.errno not in CANNOT_EXCHANGE:
            raise
        return _moved_away(fresh, target, ours)
    others = _others(fresh, ours)
    if others is not None:  # in that very moment it became somebody else's
        exchange(fresh, target)
        raise _refused(target, others)
    return fresh


def _moved_away(fresh: Path, target: Path, ours: Ours) -> Path | None:
    away = Path(f"{_beside(target.parent)}-was-{target.name}")
    os.rename(target, away)
    others = _others(away, ours)
    try:
        if others is not None:
            raise _refused(target, others)
        os.rename(fresh, target)
    except BaseException as error:
        with suppress(OSError):
            os.rename(away, target)
        if isinstance(error, OSError) and error.errno in _QUICKER:
            return None
        raise
    return away


@contextmanager
def _held(target: Path) -> Iterator[None]:
    """Hold the lock on a folder that is there. Raises FileNotFoundError where it is not, and FolderRefused."""
    patience = time.monotonic() + PATIENCE
    while True:
        descriptor = open_folder(target)
        try:
            if lock(descriptor) is not False and is_at(target, descriptor):
                yield
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > patience:
            raise FolderRefused(f"{target} is locked by another program: end that, or name another folder")
        time.sleep(_PAUSE)


# -- what is left over -------------------------------------------------------------------------------------------------


def _beside(parent: Path) -> Path:
    return parent / f".ferryman-{new_id(os.urandom(16))}"


def _fresh(parent: Path) -> tuple[Path, int]:
    """A new folder, and its descriptor, which holds the lock until it is closed."""
    while True:
        path = _beside(parent)
        os.mkdir(path)
        with suppress(FileNotFoundError):  # somebody took it for left over before it was locked
            descriptor = open_folder(path)
            if lock(descriptor) is not False and is_at(path, descriptor):
                return path, descriptor
            os.close(descriptor)


def _clear(path: Path, was: str | None, ours: Ours) -> None:
    descriptor = open_folder(path)
    try:
        if lock(descriptor) is not True or not is_at(path, descriptor):
            return
        if was is not None and not os.path.lexists(path.parent / was):
            os.rename(path, path.parent / was)
        elif was is None or ours(path) is None:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
