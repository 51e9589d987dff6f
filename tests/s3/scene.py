"""A real server on a real MinIO with the fault proxy between them, and what must be true at the end of every story."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_books import Multipart
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_signing import Keys
from ferryman_server.storage.s3_sums import summed
from tests.minio import Minio
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.support.process import Server, eventually
from tests.support.raw_http import RawResponse
from tests.support.uploading import Dialect, append, content, create, id_of, offset_of

MIB: Final = 1 << 20
PART: Final = 8 * MIB
WHOLE: Final = content(56 * MIB, seed=3)
ENDS: Final = (PART, 3 * PART, 5 * PART, 7 * PART)  # of its parts where one request brings it: the first is smaller
CLOCK: Final = str(Path(__file__).parent.parent / "crash" / "bad_disk.py")  # `ferryman` with a clock that is ahead
PATIENCE: Final = "3s"  # that the server has with a store that fails


class Scene:
    """The server, the proxy, the bucket."""

    def __init__(self, minio: Minio, bucket: str, data: Path, *flags: str) -> None:
        self.minio = minio
        self.bucket = bucket
        self.proxy = FaultProxy(minio.endpoint)
        self._flags = flags
        self._data = data
        self._pool = ThreadPoolExecutor()
        self._place = f"s3://{bucket}/library"
        self._env = {
            "FERRYMAN_S3_ENDPOINT": self.proxy.endpoint,
            "AWS_ACCESS_KEY_ID": minio.access_key,
            "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        }
        keys = Keys(access=minio.access_key, secret=minio.secret_key)
        self._client = S3Client(minio.endpoint, bucket, keys, "us-east-1")  # past the proxy

    @contextmanager
    def played(self) -> "Iterator[Scene]":
        """For the length of the `with`."""
        with self.proxy:
            flags = ("--store", self._place, "--s3-patience", PATIENCE, *self._flags)
            self.server = Server(self._data, *flags, env=self._env).start()
            try:
                self._await_walk(new=True)
                yield self
            finally:
                self.server.close()
                self.proxy.disarm()
                self._pool.shutdown()
                self._client.close()

    def set(self) -> None:
        """As a test begins: nothing is spoilt, counted or stored, and the server runs."""
        self.proxy.accept()
        self.proxy.disarm()
        if not self.server.running:
            self.proxy.clear()
            self.server.start()
            self._await_walk()
        self.proxy.clear()

    def _await_walk(self, *, new: bool = False) -> None:
        """A start looks around in the bucket; on a new one it asks first whether there is one."""
        eventually(lambda: sum(seen.told is not None for seen in self.proxy.log.of(Operation.LIST)) > new)

    def clear(self) -> None:
        """As a test ends: the disk is not for keeping what was stored."""
        self.proxy.accept()
        self.proxy.disarm()
        for key in self.keys():
            s3_calls.delete(self._client, key)

    # what clients do

    def create(self, dialect: Dialect = "tus", size: int = len(WHOLE)) -> str:
        """An empty upload of this length; its path."""
        return create(self.server, dialect, length=size)

    def send(self, path: str, start: int, stop: int, dialect: Dialect = "tus", whole: bytes = WHOLE) -> RawResponse:
        """A PATCH with these bytes; its answer."""
        return append(self.server, dialect, path, start, whole[start:stop], last=stop == len(whole))

    def sending(
        self, path: str, start: int, stop: int, dialect: Dialect = "tus", whole: bytes = WHOLE
    ) -> "Future[RawResponse]":
        """The same in the background: whoever kills the server does not look at its result."""
        return self._pool.submit(self.send, path, start, stop, dialect, whole)

    def offset(self, path: str, dialect: Dialect = "tus") -> int:
        """What HEAD tells."""
        return offset_of(self.server, dialect, path)

    def resume(self, path: str, dialect: Dialect = "tus", *, told: int = 0, whole: bytes = WHOLE) -> None:
        """What every client does after a break: ask, and send the rest. `told`: what was confirmed before."""
        offset = self.offset(path, dialect)
        assert offset >= told, f"{told} bytes were confirmed, {offset} are left"
        if offset < len(whole) or dialect == "rufh":
            answer = self.send(path, offset, len(whole), dialect, whole)
            assert answer.status in (201, 204), answer

    def gc(self, *, ahead: float = 0.0) -> None:
        """`ferryman gc`, so many seconds from now; the server does not run."""
        env = {**os.environ, **self._env, "CLOCK_AHEAD": str(ahead)}
        words = ("gc", "--data", str(self._data), "--store", self._place, "--upload-ttl", "1s")
        subprocess.run([sys.executable, "-P", CLOCK, *words], check=True, env=env, cwd=self._data.parent)

    # what must be true

    def check(self, path: str, whole: bytes = WHOLE, *, tails_may_be_left: bool = False) -> None:
        """The upload is complete: its object is right, and nothing else of it is left, or what the reaper finds."""
        targets = [key for key in self.keys() if id_of(path) in key and "/tails/" not in key]
        assert len(targets) == 1, self.keys()
        head = s3_calls.head(self._client, targets[0])
        assert head is not None
        assert head.size == len(whole)
        found = b"".join(s3_calls.get(self._client, targets[0], 0, len(whole)))
        assert hashlib.sha256(found).digest() == hashlib.sha256(whole).digest(), "the object differs"
        eventually(lambda: self.left_of(path, targets[0], tails=not tails_may_be_left) == [])

    def left_of(self, path: str, target: str, *, tails: bool = True) -> list[str]:
        """What an upload has beside its object."""
        keys = [key for key in self.keys() if id_of(path) in key and key != target] if tails else []
        return keys + s3_calls.open_uploads(self._client, target)

    def keys(self) -> list[str]:
        """Every key in the bucket, but for the store's own id."""
        return [item.key for item in s3_calls.walk(self._client, "") if not item.key.endswith("store.toml")]

    def open_uploads(self, path: str) -> list[str]:
        """The multipart uploads that are open for an upload without a name."""
        return s3_calls.open_uploads(self._client, self.target(path))

    def abort(self, key: str, upload: str) -> None:
        """Abort a multipart upload, behind the server's back."""
        s3_calls.abort(self._client, key, upload)

    def replace_part(self, key: str, upload: str, number: int) -> None:
        """Send other bytes under the number of a part, behind the server's back."""
        other = bytes(PART)
        multipart = Multipart(id=upload, algorithm=self._client.algorithm)
        s3_calls.send_part(self._client, key, multipart, number, other, PART, summed([other]))

    def target(self, path: str) -> str:
        """The key that the object of an upload without a name gets, if it was made today."""
        return f"library/{datetime.now(UTC):%Y-%m-%d}/{id_of(path)}/upload"
