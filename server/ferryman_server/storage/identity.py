"""The data folder: who it is (`store.toml`) and who uses it now (`lock`).

The store's id lies beside the data and in the state. A folder that was swapped for another, or restored without its
database, is noticed by comparing the two before anything is written or deleted (DESIGN §6).

The lock is the kernel's: it ends with the process that holds it, however that ends, so there is never a stale one to be
removed by hand. What the lock file says is for people only.
"""

import base64
import fcntl
import os
import re
import secrets
import tomllib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ferryman_protocol.model import ID_PATTERN
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.syscalls import (
    FILE_MODE,
    FOLDER_MODE,
    Sync,
    sync_file,
    sync_folder,
    translating,
    write_all,
)

FORMAT: Final = 1  # of what lies in a store; to be raised when an older Ferryman would misread it

_TEXT: Final = """\
# The name of this store. It belongs to the uploads beside it: Ferryman compares it with the one in its database and
# does not start when they differ. Keep it when you move or restore them.
format = {format}
id = "{id}"
"""


class DataInUse(StoreError):
    """Another process holds the data folder; `pid` is its process id, where the lock file tells."""

    def __init__(self, data: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid is not None else "process unknown"
        super().__init__(f"another ferryman serve uses {data} ({who}): stop it or choose another --data")
        self.pid = pid


def prepare_folder(data: Path, sync: Sync = os.fsync) -> None:
    """Make the data folder and its missing parents, durably, and check that it can be used. Raises StoreError."""
    with translating(f"make the data folder {data}"):
        _make_folders(data, sync)
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(
            f"the data folder {data} cannot be read and written by user id {os.geteuid()}: "
            "change its owner or permissions, or choose another --data"
        )


def _make_folders(path: Path, sync: Sync) -> None:
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileNotFoundError:
        _make_folders(path.parent, sync)
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not path.is_dir():
            raise StoreError(f"{path} is not a folder: choose another --data") from None
        with suppress(PermissionError):  # made by us just before a crash, or by its owner, who may keep us from reading
            sync_folder(str(path.parent), sync)
        return
    sync_folder(str(path.parent), sync)


def read_store_id(data: Path) -> str | None:
    """The id in `store.toml`; None when there is no such file. Raises StoreError when it cannot be understood."""
    path = data / "store.toml"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    return parse_identity(text, str(path))


def parse_identity(text: bytes, where: str) -> str:
    """The store's id in the text of a `store.toml`. Raises StoreError, which says `where` it lies."""
    try:
        table = tomllib.loads(text.decode())
    except ValueError as error:
        raise StoreError(f"{where} is damaged ({error}): restore it from a backup of what lies beside it") from error
    version = table.get("format")
    if version != FORMAT:
        raise StoreError(
            f"{where} has format {version!r}, this Ferryman knows format {FORMAT}: use the version that wrote it"
        )
    name = table.get("id")
    if not isinstance(name, str) or re.fullmatch(ID_PATTERN, name) is None:
        raise StoreError(f"{where} has no usable 'id': restore it from a backup of what lies beside it")
    return name


def new_store_id() -> str:
    """A name that no other store has."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def identity_text(name: str) -> bytes:
    """What is written into `store.toml`."""
    return _TEXT.format(format=FORMAT, id=name).encode()


def read_or_make_store_id(data: Path, *, sync: Sync = sync_file, sync_entries: Sync = os.fsync) -> str:
    """The id in `store.toml`, made and stored durably when there is none. Raises StoreError."""
    name = read_store_id(data)
    if name is None:
        name = new_store_id()
        with translating(f"write {data / 'store.toml'}"):
            _write_store_id(data, name, sync, sync_entries)
    return name


def _write_store_id(data: Path, name: str, sync: Sync, sync_entries: Sync) -> None:
    fresh = data / "store.new.toml"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        write_all(descriptor, memoryview(identity_text(name)), 0)
        sync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(fresh, data / "store.toml")
    sync_folder(str(data), sync_entries)


class DataLock:
    """The right of one process to use a data folder: `with DataLock(data): …`, or `acquire` and `release`.

    Child processes do not inherit it, unless they are made by a bare fork.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock, or raise DataInUse at once; StoreError when the folder cannot hold one.

        Makes the folder if need be.
        """
        prepare_folder(self._data)
        path = self._data / "lock"
        with translating(f"lock {path}"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
            try:
                self._lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; the file stays, since removing it would let two processes hold a lock each. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = re.match(rb"pid (\d+)\n", os.pread(descriptor, 100, 0))
            raise DataInUse(self._data, int(told[1]) if told else None) from None
        os.ftruncate(descriptor, 0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        os.pwrite(descriptor, f"pid {os.getpid()}\nstarted {started}\n".encode(), 0)
