"""Many whole contents made files at once: all written, then all entered in their folder, then all synced.

The disk is told to begin with each file as soon as it is written, and a journalling file system stores what it has to
say about all of them with the first sync; so the syncs after it find little left to do. Each file still has a sync of
its own, and with it a result of its own.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ferryman_server.buffers import buffer, joined
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.local_files import LocalWriter

Open: TypeAlias = Callable[[str, int], LocalWriter]
Content: TypeAlias = tuple[str, Sequence[bytes]]


def take(writer: Open, enter: Callable[[Sequence[str]], None], contents: Sequence[Content]) -> list[StoreError | None]:
    """See :meth:`ferryman_server.storage.base.TakesTogether.take`; `writer` opens an upload's file, `enter` makes the
    folder entries of several durable if it can."""
    with buffer() as memory:
        begun = [_write(writer, upload_id, chunks, memory) for upload_id, chunks in contents]
    enter(
        [upload_id for (upload_id, _), opened in zip(contents, begun, strict=True) if isinstance(opened, LocalWriter)]
    )
    return [_sync(opened) for opened in begun]


def _write(writer: Open, upload_id: str, chunks: Sequence[bytes], memory: memoryview) -> LocalWriter | StoreError:
    try:
        opened = writer(upload_id, 0)
    except StoreError as error:
        return error
    try:
        for piece in joined(chunks, memory):
            opened.write(piece)
        opened.begin()
    except StoreError as error:
        opened.close()
        return error
    return opened


def _sync(opened: LocalWriter | StoreError) -> StoreError | None:
    if isinstance(opened, StoreError):
        return opened
    try:
        opened.sync()
    except StoreError as error:
        return error
    finally:
        opened.close()
    return None
