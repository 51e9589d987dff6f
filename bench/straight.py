"""The floor for MinIO: the same bytes without a server between the client and it.

The load client puts them there, with as many PUTs under way at once as the scenario says: whole objects, or parts of
8 MiB. Requests are signed beforehand and do not cover the bytes. Creating and completing a multipart upload counts in
the time; signing does not.
"""

import http.client
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.bodies import Body
from bench.bucket import Bucket
from bench.errors import CannotMeasure
from bench.load import loaded
from bench.scenarios import MIB, Scenario

PART: Final = 8 * MIB  # bytes


@contextmanager
def putting(scenario: Scenario, body: Body, data: Path, bucket: Bucket) -> Iterator[dict[str, Any]]:
    """Store what the scenario stores, and hand out what the load client tells, with all of the time."""
    puts, etags = data / "puts", data / "etags"
    large = _Large(bucket, scenario.size) if scenario.size > PART else None
    lines = (
        large.lines if large else [f"0 {scenario.size} {_signed(bucket, 'PUT', f'{n}')}" for n in range(scenario.count)]
    )
    puts.write_text("\n".join(lines) + "\n")
    arguments = ["--puts", puts, "--etags", etags, "--body", body.file, "--count", len(lines)]
    with loaded(bucket.port, "/", *map(str, arguments), "--connections", scenario.in_flight) as told:
        if large is not None:
            large.complete(etags.read_text().split())
            told["seconds"] += large.seconds
        yield told


class _Large:
    """An object that comes in parts."""

    def __init__(self, bucket: Bucket, size: int) -> None:
        self._bucket, self.seconds = bucket, 0.0
        answer = self._timed("POST", {"uploads": ""})
        found = re.search(r"<UploadId>([^<]+)</UploadId>", answer)
        if found is None:
            raise CannotMeasure(f"MinIO began no multipart upload: {answer[:200]}")
        self._upload = found[1]
        starts = range(0, size, PART)
        self.lines = [
            f"{start} {min(PART, size - start)} {self._part(number)}" for number, start in enumerate(starts, 1)
        ]

    def complete(self, etags: Sequence[str]) -> None:
        parts = (f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
        document = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"
        self._timed("POST", {"uploadId": self._upload}, document)

    def _part(self, number: int) -> str:
        return _signed(self._bucket, "PUT", "large", {"partNumber": str(number), "uploadId": self._upload})

    def _timed(self, method: str, query: dict[str, str], document: str = "") -> str:
        path = _signed(self._bucket, method, "large", query)
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self._bucket.port, timeout=120)
        try:
            connection.request(method, path, document)
            answer = connection.getresponse()
            told = answer.read().decode()
        finally:
            connection.close()
        self.seconds += time.perf_counter() - began
        if answer.status != 200 or "<Error>" in told:
            raise CannotMeasure(f"MinIO answered {answer.status}: {told[:200]}")
        return told


def _signed(bucket: Bucket, method: str, key: str, query: dict[str, str] | None = None) -> str:
    """Path and query of a request that MinIO takes within a week."""
    url = bucket.client().get_presigned_url(method, bucket.name, key, extra_query_params=dict(query or {}))
    return url.removeprefix(bucket.endpoint)
