"""Where the server under force keeps its bytes: what differs between a folder and a bucket, and the folder."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.crash.ledger import Flight, Upload
from tests.support.small_disk import lasting_small_disk
from tests.support.uploading import KIB, MIB, observed, published, receiving, stored

if TYPE_CHECKING:  # it holds one of these
    from tests.crash.scene import Scene


class Place(Protocol):
    """A store, as the machine sees it past the server."""

    prefix: tuple[str, ...]  # of every command that works on it
    env: Mapping[str, str]  # of those commands
    data: Path  # the server's folder, as this process sees it
    again: int  # bytes that a killed server had read and not kept, at most (DESIGN §11), and a piece
    part: int | None  # bytes of the pieces in which uploads are kept, if they are
    readable: bool  # whether an unfinished upload's bytes can be looked at

    def check_prefix(self, scene: "Scene", upload: Upload) -> None:
        """The bytes below the highest offset that was told are there, and right. Safe at any moment."""

    def has_taken(self, scene: "Scene", flight: Flight, least: int) -> bool:
        """Whether the server has so many bytes of a plain request that goes straight to it."""

    def connections(self) -> set[str]:
        """The server's descriptors of connections to its store: it keeps them as long as it likes."""

    def unfinished(self) -> set[str]:
        """Everything there that belongs to unfinished uploads, or to nobody."""

    def finished(self) -> set[str]:
        """The ids of finished uploads that are there."""


class OnDisk:
    """Local files, on this machine's disk or on a small one of their own, that a file beside them makes bad."""

    again: int = MIB + 64 * KIB
    part: int | None = None
    readable: bool = True

    def __init__(self, data: Path, env: Mapping[str, str], prefix: tuple[str, ...] = ()) -> None:
        """`data`: as this process sees it."""
        self.data = data
        self.env = env
        self.prefix = prefix

    def check_prefix(self, scene: "Scene", upload: Upload) -> None:
        """See `Place`. These bytes may never change again."""
        told, sent, path = upload.told, tuple(upload.sent), upload.path
        if path is None or upload.deleting or upload.parts or not told:
            return
        data = self._first_bytes(scene, upload, told)
        if data is None:
            return  # it is complete, or on its way between two folders: a download will tell
        if len(data) < told == upload.length == observed(scene.server, path):
            return  # it is complete, and not in its file yet: a download will tell
        scene.figures.count("prefix checks")
        if len(data) < told:
            raise scene.ledger.broken(f"{told} bytes were told to be safe, the file has {len(data)}", upload)
        if scene.tints.explain(data, sent) is None:
            raise scene.ledger.broken(f"the first {told} bytes of its file are not what was sent", upload)

    def _first_bytes(self, scene: "Scene", upload: Upload, size: int) -> bytes | None:
        assert upload.path is not None
        for _ in range(3):
            for find in (receiving, published):
                try:
                    with find(self.data, upload.path).open("rb") as stream:
                        return stream.read(size)
                except FileNotFoundError:
                    continue
            if upload.deleting or observed(scene.server, upload.path) == upload.length:
                return None
        raise scene.ledger.broken(f"{size} bytes were told to be safe, and there is no file", upload)

    def has_taken(self, scene: "Scene", flight: Flight, least: int) -> bool:
        """See `Place`: they are written."""
        return stored(self.data, flight.upload.path or "") >= least

    def connections(self) -> set[str]:
        """See `Place`: none."""
        return set()

    def unfinished(self) -> set[str]:
        """See `Place`."""
        return self._files("uploads")

    def finished(self) -> set[str]:
        """See `Place`."""
        return self._files("files")

    def _files(self, folder: str) -> set[str]:
        return {file.name for file in (self.data / folder).rglob("*") if file.is_file()}


@contextlib.contextmanager
def on_disk(folder: Path, small: int | None) -> Iterator[OnDisk]:
    """In this folder, for the length of the `with`; on a disk of `small` bytes."""
    env = {"BAD_DISK": str(folder / "bad-disk")}
    if small is None:
        yield OnDisk(folder / "data", env)
    else:
        with lasting_small_disk(folder / "data", small) as (prefix, data):
            yield OnDisk(data, env, prefix)
