"""The floors for MinIO: the same bytes, without a server between the client and it.

The load client puts them there, with as many PUTs under way at once as the scenario says: whole objects, or parts as
large as Ferryman's. The requests are signed beforehand, and what signs them does not cover the bytes. Creating and
completing a multipart upload counts in the time; signing does not. MinIO can be had to check what it is sent, as it
does behind Ferryman by default: with the CRC-32C of each PUT, made beforehand.
"""

import http.client
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.bodies import Body, pieces
from bench.bucket import Bucket
from bench.errors import CannotMeasure
from bench.load import loaded
from bench.scenarios import Scenario
from ferryman_server.storage.s3_books import LARGE_PART
from ferryman_server.storage.s3_sums import CRC32C, summed

OK: Final = 200


@contextmanager
def putting(
    scenario: Scenario, body: Body, data: Path, bucket: Bucket, *, checked: bool = False
) -> Iterator[dict[str, Any]]:
    """Store what the scenario stores, and hand out what the load client tells when all of it is there. `checked`: MinIO
    compares the bytes with a checksum.

    Raises CannotMeasure when an answer was not the right one.
    """
    sign = _Signing(bucket)
    part = scenario.patch or LARGE_PART  # as Ferryman sends a body that flows
    large = _Large(sign, scenario.size, part) if scenario.size > part else None
    lines = large.lines if large else _objects(sign, scenario)
    puts, etags = data / "puts", data / "etags"
    puts.write_text("".join(f"{line}\n" for line in (_with_checksums(lines, body) if checked else lines)))
    arguments: list[str | int] = [
        "--puts",
        str(puts),
        "--etags",
        str(etags),
        "--body",
        str(body.file),
        "--count",
        len(lines),
    ]
    with loaded(bucket.port, "/", *arguments, "--connections", scenario.in_flight) as told:
        if large is not None:
            large.complete(etags.read_text().split())
            told["seconds"] += large.seconds
        yield told


class _Signing:
    """Paths of requests that MinIO takes from anybody, for a while."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._client = bucket.client()

    def __call__(self, method: str, key: str, query: Mapping[str, str] | None = None) -> str:
        url = self._client.get_presigned_url(method, self.bucket.name, key, extra_query_params=dict(query or {}))
        return url.removeprefix(self.bucket.endpoint)


def _objects(sign: _Signing, scenario: Scenario) -> list[str]:
    """One PUT an object, as the load client takes them: offset, size, path."""
    return [f"0 {scenario.size} {sign('PUT', str(number))}" for number in range(scenario.count)]


def _with_checksums(lines: Sequence[str], body: Body) -> Iterator[str]:
    """The PUTs, each with the checksum of its bytes. They begin where the body's file repeats itself."""
    known: dict[str, str] = {}
    period = body.file.read_bytes()
    for line in lines:
        size = line.split(" ")[1]
        if size not in known:
            known[size] = f"{CRC32C.field}:{CRC32C.text(summed(pieces(period, int(size))))}"
        yield f"{line} {known[size]}"


class _Large:
    """An object that comes in parts; begun, and yet to be completed."""

    def __init__(self, sign: _Signing, size: int, part: int) -> None:
        self.seconds = 0.0  # that its beginning and its end took
        self._sign = sign
        found = re.search("<UploadId>([^<]+)</UploadId>", self._ask({"uploads": ""}))
        if found is None:
            raise CannotMeasure("MinIO began a multipart upload without telling its id")
        self._id = found[1]
        starts = range(0, size, part)
        self.lines = [f"{start} {min(part, size - start)} {self._part(n)}" for n, start in enumerate(starts, 1)]

    def complete(self, etags: Sequence[str]) -> None:
        """Make the object of its parts; the tags are in their order."""
        parts = (f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
        document = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"
        if "<CompleteMultipartUploadResult" not in (answer := self._ask({"uploadId": self._id}, document)):
            raise CannotMeasure(f"MinIO did not complete a multipart upload: {answer[:200]}")

    def _part(self, number: int) -> str:
        return self._sign("PUT", "large", {"partNumber": str(number), "uploadId": self._id})

    def _ask(self, query: Mapping[str, str], document: str = "") -> str:
        path = self._sign("POST", "large", query)
        connection = http.client.HTTPConnection("127.0.0.1", self._sign.bucket.port, timeout=120)
        began = time.perf_counter()
        try:
            connection.request("POST", path, document)
            answer = connection.getresponse()
            told = answer.read().decode()
        finally:
            connection.close()
        self.seconds += time.perf_counter() - began
        if answer.status != OK:
            raise CannotMeasure(f"MinIO answered {answer.status}: {told[:200]}")
        return told
