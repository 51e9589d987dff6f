"""A bucket on a MinIO of its own, with the fault proxy between server and MinIO.

Multipart uploads that are left over are looked for on MinIO's disk: its listing tells those of exact keys only, and
nobody knows the keys of uploads whose rows are gone.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferryman_server.storage.s3_books import LARGE_PART, LEAST_PART
from tests.crash import sockets
from tests.crash.ledger import Flight, Upload
from tests.minio import Minio
from tests.s3.proxy import FaultProxy
from tests.support.uploading import MIB

if TYPE_CHECKING:  # it holds one of these
    from tests.crash.scene import Scene

BUCKET: Final = "uploads"
PREFIX: Final = "library"
_OWN: Final = f"{PREFIX}/.ferryman/"
_PARTIALS: Final = f"{_OWN}partials/"


class InMinio:
    """An S3 store, that goes away and fails as the proxy is told."""

    again: int = 3 * LARGE_PART + MIB
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
        """See `Place`: tails and whatever else is the server's own, and multipart uploads."""
        ours = {key for key in self._keys() if key.startswith(_OWN) and not key.startswith(_PARTIALS)}
        uploads = (path.parent for path in (self._disk / ".minio.sys" / "multipart").rglob("xl.meta"))
        return ours - {f"{_OWN}store.toml"} | {str(path.relative_to(self._disk)) for path in uploads}

    def finished(self) -> set[str]:
        """See `Place`."""
        keys = self._keys()
        people = {key.split("/")[-2] for key in keys if not key.startswith(_OWN)}
        return people | {key.removeprefix(_PARTIALS) for key in keys if key.startswith(_PARTIALS)}

    def _keys(self) -> set[str]:
        found = self.minio.client().list_objects(BUCKET, recursive=True)
        return {listed.object_name or "" for listed in found}


@contextlib.contextmanager
def in_minio(folder: Path) -> Iterator[InMinio]:
    """On a MinIO in this folder, for the length of the `with`."""
    own = folder / "minio"
    own.mkdir()
    with Minio(own) as minio:
        minio.client().make_bucket(BUCKET)
        with FaultProxy(minio.endpoint) as proxy:
            yield InMinio(folder / "data", minio, own / "data", proxy)
