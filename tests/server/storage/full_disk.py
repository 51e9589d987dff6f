"""Run in a process of its own: fill a store's disk in the given way, make room, and go on.

Usage: `full_disk.py file-size-limit|small-disk DATA`. Prints `ok` when nothing acknowledged was lost.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ferryman_server.storage.base import StoreFull, read_all
from ferryman_server.storage.local import LocalStore

UPLOAD = "fuzlfuzlfuzlfuzlfuzlfuzlfu"
SMALL = "smalsmalsmalsmalsmalsmalsm"
OTHER = "othrothrothrothrothrothrot"
PIECE = bytes(range(256)) * 39  # no multiple of a page, so that the last piece is taken in part
LIMIT = 1_000_000  # bytes


def limit_file_size(store: LocalStore, data: Path) -> Callable[[], None]:
    """Bound the size of every file of this process; returns what lifts the bound."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill_with_another(store: LocalStore, data: Path) -> Callable[[], None]:
    """Let another upload take most of the small disk; returns what discards it."""
    writer = store.writer(OTHER, 0)
    for _ in range(LIMIT // len(PIECE)):
        writer.write(memoryview(PIECE))
    writer.sync()
    writer.close()
    return lambda: store.discard(OTHER)


def fill(store: LocalStore, path: Path) -> int:
    """Write until nothing fits; returns the durable offset, which is a whole number of pieces."""
    writer = store.writer(UPLOAD, 0)
    try:
        while True:
            writer.write(memoryview(PIECE))
    except StoreFull as full:
        words = str(full)
    assert str(path) in words, words
    assert path.stat().st_size == writer.written, "what did not fit was not cut off"
    offset = writer.sync()
    writer.close()
    assert offset == writer.written > 0
    return offset


def keep(store: LocalStore, data: Path, size: int) -> None:
    """A content that does not fit stays in memory, and leaves no half of a file."""
    store.keep(SMALL, bytes(size))
    words = "it was written to a full disk"
    try:
        store.write_out([SMALL])
    except StoreFull as full:
        words = str(full)
    assert SMALL in words, words
    assert not (data / "files" / SMALL[:2] / SMALL).exists()
    assert read_all(store, SMALL, size) == bytes(size)


def write_out(store: LocalStore, size: int) -> None:
    """With room, it becomes a file."""
    assert store.write_out([SMALL]) == [SMALL]
    assert read_all(store, SMALL, size) == bytes(size)
    store.discard(SMALL, published=True)


def go_on(store: LocalStore, offset: int) -> None:
    """Resume at the offset, publish, and compare every byte."""
    writer = store.writer(UPLOAD, offset)
    for _ in range(20):
        writer.write(memoryview(PIECE))
    length = writer.sync()
    writer.close()
    store.publish(UPLOAD, length)
    assert read_all(store, UPLOAD, length) == PIECE * (length // len(PIECE))


def main(way: str, data: Path) -> None:
    """Fill, make room, go on."""
    if way == "small-disk":
        data.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", data], check=True)
    store = LocalStore(data)
    store.open()
    make_room = (limit_file_size if way == "file-size-limit" else fill_with_another)(store, data)
    offset = fill(store, data / "uploads" / UPLOAD)
    size = 2 * LIMIT if way == "file-size-limit" else len(PIECE)
    keep(store, data, size)
    make_room()
    write_out(store, size)
    go_on(store, offset)
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
