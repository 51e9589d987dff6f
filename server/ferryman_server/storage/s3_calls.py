"""The requests of the S3 API that the store makes, one function each, and what their answers say."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import unquote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ferryman_server.storage.s3_books import Multipart, Part, Tail
from ferryman_server.storage.s3_client import Body, S3Client
from ferryman_server.storage.s3_errors import S3Error, local_name, read_error, refusal
from ferryman_server.storage.s3_sums import ALGORITHMS, CRC64NVME, Algorithm, Sums

META: Final = "x-amz-meta-"
PIECE: Final = 256 << 10  # bytes read at once from an object that is copied through us


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What is known of an object without reading it."""

    size: int  # bytes
    etag: str
    fields: Mapping[str, str]  # of the answer, names in lower case

    @property
    def crc64(self) -> int | None:
        """The CRC64/NVME of the whole object; None: the server keeps another checksum, or none."""
        text = self._text(CRC64NVME)
        return None if text is None else CRC64NVME.value(text)

    def has(self, sums: Sums) -> bool:
        """Whether the server knows the object to have these checksums: of those that it keeps, none differs."""
        known = [algorithm for algorithm in ALGORITHMS.values() if self._text(algorithm) is not None]
        return bool(known) and all(self._text(algorithm) == algorithm.text(sums) for algorithm in known)

    def _text(self, algorithm: Algorithm) -> str | None:
        whole = self.fields.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"
        return self.fields.get(algorithm.field) if whole else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """An object in a listing."""

    key: str
    size: int  # bytes
    modified_at: float  # seconds since the epoch


_Page: TypeAlias = tuple[list[Listed], str | None]


def put(
    client: S3Client,
    key: str,
    body: Body,
    size: int,
    sums: Sums,
    headers: Mapping[str, str],
    *,
    replaces: str | None = None,
) -> None:
    """Store a whole object. 412 (PreconditionFailed) when there is one already, but for the one with the ETag that this
    one `replaces`."""
    client.ask("PUT", key, headers=put_fields(client, headers, sums, replaces), body=body, size=size)


def put_fields(client: S3Client, headers: Mapping[str, str], sums: Sums, replaces: str | None = None) -> dict[str, str]:
    """The fields of the request that stores a whole object."""
    return {**headers, **_condition(replaces), **_sum_field(client.algorithm, sums)}


def head(client: S3Client, key: str) -> Head | None:
    """What is known of an object; None: there is none."""
    try:
        answer = client.ask("HEAD", key, headers={"x-amz-checksum-mode": "ENABLED"})
    except S3Error as error:
        if error.status == 404:
            return None
        raise
    size, etag = int(answer.headers["content-length"]), answer.headers["etag"].strip('"')
    return Head(size=size, etag=etag, fields=answer.headers)


def get(client: S3Client, key: str, start: int, stop: int) -> Iterator[bytes]:
    """The bytes [start, stop) of an object."""
    return client.read(key, start, stop, PIECE)


def get_all(client: S3Client, tails: Iterable[Tail]) -> Iterator[bytes]:
    """The bytes of tails behind each other."""
    for tail in tails:
        yield from get(client, tail.key, 0, tail.size)


def delete(client: S3Client, key: str) -> None:
    """Delete an object; one that is not there is fine, as S3 has it."""
    client.ask("DELETE", key)


def delete_version(client: S3Client, key: str, version: str) -> None:
    """Delete one version of an object for good, or a mark that it was deleted."""
    client.ask("DELETE", key, query={"versionId": version})


def is_versioned(client: S3Client) -> bool:
    """Whether the bucket keeps what is deleted or replaced."""
    root = _document(client.ask("GET", query={"versioning": ""}).body, "GetBucketVersioning", 200)
    return _text(root, "Status") == "Enabled"


def versions(client: S3Client, prefix: str) -> list[tuple[str, str]]:
    """Key and id of every version, and mark of a deletion, of the first 1,000 whose keys begin so."""
    query = {"versions": "", "prefix": prefix, "encoding-type": "url"}
    root = _document(client.ask("GET", query=query).body, "ListObjectVersions", 200)
    found = [item for item in root if local_name(item) in ("Version", "DeleteMarker")]
    return [(unquote_plus(_text(item, "Key")), _text(item, "VersionId")) for item in found]


def begin(client: S3Client, key: str, headers: Mapping[str, str], *, checksums: bool = True) -> Multipart:
    """Create a multipart upload. `checksums`: one goes with each part, and the whole object has one."""
    algorithm = client.algorithm if checksums else None
    chosen = {"x-amz-checksum-algorithm": algorithm.name, "x-amz-checksum-type": "FULL_OBJECT"} if algorithm else {}
    answer = client.ask("POST", key, query={"uploads": ""}, headers={**headers, **chosen})
    upload = _text(_document(answer.body, "CreateMultipartUpload", answer.status), "UploadId")
    return Multipart(id=upload, algorithm=algorithm)


def send_part(client: S3Client, key: str, upload: Multipart, number: int, body: Body, size: int, sums: Sums) -> str:
    """Upload one part; returns its ETag."""
    answer = client.ask(
        "PUT",
        key,
        query={"partNumber": str(number), "uploadId": upload.id},
        headers=_sum_field(upload.algorithm, sums),
        body=body,
        size=size,
    )
    return answer.headers["etag"].strip('"')


def copy_part(client: S3Client, key: str, upload: Multipart, number: int, source: str, start: int, stop: int) -> str:
    """Have the server copy bytes [start, stop) of another object of the bucket as a part; returns its ETag."""
    headers = {
        "x-amz-copy-source": client.path_of(source),
        "x-amz-copy-source-range": f"bytes={start}-{stop - 1}",
    }
    query = {"partNumber": str(number), "uploadId": upload.id}
    answer = client.ask("PUT", key, query=query, headers=headers)
    return _text(_document(answer.body, "UploadPartCopy", answer.status), "ETag").strip('"')


def complete(
    client: S3Client, key: str, upload: Multipart, parts: Sequence[Part], sums: Sums, *, replaces: str | None = None
) -> None:
    """Make an object of these parts, in the order of their numbers, and have the server compare the checksum of the
    whole with one of `sums`. 412 as with `put`."""
    items = "".join(_part_item(part, upload.algorithm) for part in parts)
    headers = {
        "content-type": "application/xml",
        **_condition(replaces),
        **_sum_field(upload.algorithm, sums),
    }
    if upload.algorithm is not None:
        headers["x-amz-checksum-type"] = "FULL_OBJECT"
    body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
    answer = client.ask("POST", key, query={"uploadId": upload.id}, headers=headers, body=body)
    _document(answer.body, "CompleteMultipartUpload", answer.status)  # an error may come behind a 200


def abort(client: S3Client, key: str, upload: str) -> None:
    """Abort a multipart upload; one that is gone is fine."""
    try:
        client.ask("DELETE", key, query={"uploadId": upload})
    except S3Error as error:
        if error.status != 404:
            raise


def open_uploads(client: S3Client, key: str) -> list[str]:
    """The ids of the multipart uploads that are open under exactly this key (MinIO lists no others)."""
    root = _document(client.ask("GET", query={"uploads": "", "prefix": key}).body, "ListMultipartUploads", 200)
    found = [upload for upload in root if local_name(upload) == "Upload"]
    return [_text(upload, "UploadId") for upload in found if _text(upload, "Key") == key]


def abort_all(client: S3Client, key: str) -> None:
    """Abort every multipart upload that is open under exactly this key."""
    for upload in open_uploads(client, key):
        abort(client, key, upload)


def listing(client: S3Client, prefix: str, after: str | None = None) -> _Page:
    """Up to 1,000 objects whose keys begin so, in the order of the keys, and what to ask for the ones `after` them."""
    # percent-encoded: XML cannot hold every character that a key may have
    query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
    if after is not None:
        query["continuation-token"] = after
    root = _document(client.ask("GET", query=query).body, "ListObjectsV2", 200)
    found = [_listed(item) for item in root if local_name(item) == "Contents"]
    return found, _text(root, "NextContinuationToken") if _text(root, "IsTruncated") == "true" else None


def walk(
    client: S3Client, prefix: str, ask: Callable[[Callable[[], _Page]], _Page] = lambda request: request()
) -> Iterator[Listed]:
    """Every object whose key begins so, in the order of the keys. `ask` makes the request for a page, more than once
    perhaps."""
    after: str | None = None
    while True:
        found, after = ask(partial(listing, client, prefix, after))
        yield from found
        if after is None:
            return


def _listed(item: ElementTree.Element) -> Listed:
    modified_at = datetime.fromisoformat(_text(item, "LastModified")).timestamp()
    return Listed(key=unquote_plus(_text(item, "Key")), size=int(_text(item, "Size")), modified_at=modified_at)


def _condition(replaces: str | None) -> dict[str, str]:
    return {"if-none-match": "*"} if replaces is None else {"if-match": f'"{replaces}"'}


def _sum_field(algorithm: Algorithm | None, sums: Sums) -> dict[str, str]:
    return {} if algorithm is None else {algorithm.field: algorithm.text(sums)}


def _part_item(part: Part, algorithm: Algorithm | None) -> str:
    told = "" if algorithm is None else f"<{algorithm.element}>{algorithm.text(part.sums)}</{algorithm.element}>"
    return f'<Part><PartNumber>{part.number}</PartNumber><ETag>"{escape(part.etag)}"</ETag>{told}</Part>'


def _document(body: bytes, what: str, status: int) -> ElementTree.Element:
    """The answer's document. Raises S3Error when it is one of an error, or none."""
    code, _ = read_error(body)
    if code:
        raise refusal(what, 500 if status < 300 else status, body)
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise S3Error(what, status=None, code="no answer", message="it is not an XML document") from error


def _text(element: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in element if local_name(child) == name), "")
