"""A bucket on a MinIO of its own, with the fault proxy between server and MinIO.

What is left over is looked for on MinIO's disk: its listing of multipart uploads tells those of exact keys only, and
nobody knows the keys of uploads whose rows are gone.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferryman_server.storage.s3_books import LEAST_PART
from ferryman_server.storage.s3_writer import WINDOW
from tests.crash import sockets
from tests.crash.ledger import Flight, Upload
from tests.minio import Minio
from tests.s3.proxy import FaultProxy
from tests.support.uploading import MIB

if TYPE_CHECKING:  # it holds one of these
    from tests.crash.scene import Scene

BUCKET: Final = "uploads"
PREFIX: Final = "library"
_OBJECT: Final = "xl.meta"  # the file in which MinIO keeps what it knows of an object, or of a multipart upload


class InMinio:
    """An S3 store, that goes away and fails as the proxy is told."""

    again: int = (WINDOW + 1) * LEAST_PART + MIB
    part: int | None = LEAST_PART
    readable: bool = False

    def __init__(self, data: Path, minio: Minio, disk: Path, proxy: FaultProxy) -> None:
        """`data`: the server's folder; `disk`: MinIO's."""
        self.prefix: tuple[str, ...] = ()
        self.data = data
        self.minio = minio
        self.proxy = proxy
        self._disk = disk
        self.env: Mapping[str, str] = {
            "FERRYMAN_STORE": f"s3://{BUCKET}/{PREFIX}",
            "FERRYMAN_S3_ENDPOINT": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": minio.access_key,
            "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        }

    def check_prefix(self, scene: "Scene", upload: Upload) -> None:
        """See `Place`: parts cannot be read before they are an object, so the download tells."""

    def has_taken(self, scene: "Scene", flight: Flight, least: int) -> bool:
        """See `Place`: they are in its memory, or on their way to MinIO."""
        held = sockets.held(scene.server.port, {flight.port})[flight.port]
        return flight.raw - flight.head - held >= least

    def connections(self) -> set[str]:
        """See `Place`."""
        return sockets.connected_to(self.proxy.port)

    def unfinished(self) -> set[str]:
        """See `Place`: tails and whatever else is the server's own, multipart uploads, folders with nothing in them."""
        kept = self._own / "partials"
        own = {path for path in self._objects(self._own) if path.name != "store.toml" and path.parent != kept}
        uploads = self._objects(self._disk / ".minio.sys" / "multipart")
        return {str(path.relative_to(self._disk)) for path in [*own, *uploads, *self._empty_folders()]}

    def finished(self) -> set[str]:
        """See `Place`."""
        people = (path for path in self._objects(self._library) if self._own not in path.parents)
        return {path.parent.name for path in people} | {path.name for path in self._objects(self._own / "partials")}

    @property
    def _library(self) -> Path:
        return self._disk / BUCKET / PREFIX

    @property
    def _own(self) -> Path:
        return self._library / ".ferryman"

    def _objects(self, folder: Path) -> list[Path]:
        """The folders that MinIO keeps an object or a multipart upload in."""
        return [path.parent for path in folder.rglob(_OBJECT)]

    def _empty_folders(self) -> Iterator[Path]:
        for folder in (self._disk / BUCKET).rglob("*"):
            if folder.is_dir() and not any(folder.iterdir()):
                yield folder


@contextlib.contextmanager
def in_minio(folder: Path) -> Iterator[InMinio]:
    """On a MinIO in this folder, for the length of the `with`."""
    own = folder / "minio"
    own.mkdir()
    with Minio(own) as minio:
        minio.client().make_bucket(BUCKET)
        with FaultProxy(minio.endpoint) as proxy:
            yield InMinio(folder / "data", minio, own / "data", proxy)
