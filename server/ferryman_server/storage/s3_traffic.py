"""Which uploads have bytes on their way to the bucket, sent by this process.

A part that arrives while its multipart upload is aborted or completed can leave something behind that nobody knows
(seen with MinIO: its folder is made anew). So whoever ends one waits for what was abandoned on the way.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ferryman_server.storage.base import StoreError

PATIENCE: Final = 30.0  # seconds: longer than an S3 server is silent before its request is given up


class Traffic:
    """Counts what is on its way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def sending(self, upload_id: str) -> Iterator[None]:
        """Something of this upload is on its way for the length of the `with`."""
        with self._changed:
            self._under_way[upload_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[upload_id] -= 1
                if not self._under_way[upload_id]:
                    del self._under_way[upload_id]
                    self._changed.notify_all()

    def wait_for_quiet(self, upload_id: str, patience: float = PATIENCE) -> None:
        """Return when nothing of this upload is on its way. Raises StoreError when that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: upload_id not in self._under_way, patience):
                raise StoreError(f"bytes of upload {upload_id} have been on their way for {patience:.0f} s")
