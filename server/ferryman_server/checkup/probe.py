"""Small objects of the doctor's own, to try things with: below `<prefix>/.ferryman/probe/`, gone at the end."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, TypeVar

from ferryman_server.checkup.findings import Finding, note
from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_books import Multipart
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_retry import again

T = TypeVar("T")

PATIENCE: Final = 3.0  # seconds for which a server that is busy is asked again
OLD: Final = 3600.0  # seconds: what is older was left by a doctor that was killed
CONTENT: Final = bytes(range(256)) * 4  # 1 KiB


def patiently(request: Callable[[], T]) -> T:
    """What it returns; a busy server is asked again for a moment. Raises S3Error."""
    return again(request, patience=PATIENCE)


class Probe:
    """Keys to try things with. What is made under them, and what is begun, is removed by `clean`."""

    def __init__(self, client: S3Client, names: Names) -> None:
        self.client = client
        self.root = names.probes
        self.left: list[Finding] = []  # what could not be removed
        self._token = secrets.token_hex(8)
        self._keys: list[str] = []
        self.uploads: list[tuple[str, str]] = []  # key and id of every multipart upload that was begun

    def key(self, name: str) -> str:
        """A key of our own."""
        key = f"{self.root}{self._token}-{name}"
        if key not in self._keys:
            self._keys.append(key)
        return key

    def put(self, key: str, **fields: str) -> None:
        """Store CONTENT, with header fields whose names are written with `_`. Raises S3Error."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        self.client.ask("PUT", key, headers=headers, body=CONTENT, size=len(CONTENT))

    def begin(self, key: str, *, checksums: bool) -> Multipart:
        """Begin a multipart upload. Raises S3Error."""
        upload = s3_calls.begin(self.client, key, {}, checksums=checksums)
        self.uploads.append((key, upload.id))
        return upload

    def clean(self) -> None:
        """Remove everything; what resists is told."""
        for key, upload in self.uploads:
            self._remove(key, partial(s3_calls.abort, self.client, key, upload))
        for key in {key for key, _ in self.uploads}:
            self._remove(key, partial(s3_calls.abort_all, self.client, key))  # begun, and the answer was lost
        for key in self._keys:
            self._remove(key, partial(s3_calls.delete, self.client, key))
        with suppress(StoreError):
            self._sweep()
        with suppress(StoreError):  # in most places these are rights that nobody needs
            self._drop_versions()

    def _sweep(self) -> None:
        """What a doctor left who was killed."""
        for found in list(s3_calls.walk(self.client, self.root)):
            if found.modified_at < time.time() - OLD:
                self._remove(found.key, partial(s3_calls.delete, self.client, found.key))

    def _drop_versions(self) -> None:
        """What a versioned bucket keeps of ours."""
        for key, version in s3_calls.versions(self.client, self.root):
            if key in self._keys:
                self._remove(key, partial(s3_calls.delete_version, self.client, key, version))

    def _remove(self, key: str, request: Callable[[], None]) -> None:
        try:
            patiently(request)
        except StoreError as error:
            self.left.append(note(f"the doctor's own {key} could not be removed: {error}", "delete it by hand"))


@contextmanager
def probing(client: S3Client, names: Names) -> Iterator[Probe]:
    """A probe for the length of the `with`; what could not be removed is in its `left` then."""
    probe = Probe(client, names)
    try:
        yield probe
    finally:
        probe.clean()
