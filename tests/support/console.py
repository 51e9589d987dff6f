"""What a person sees of a bucket in MinIO's own console."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.minio import Minio
from tests.support.browser import see

# Before anybody is signed in, the page asks whether somebody is.
ASKS: Final = ("status of 403",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the list, as it stands there: "Today, 04:42" and "1.2 MiB"; a folder has neither ("" and "-")."""

    key: str
    name: str
    modified: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of a bucket in the console, and one object of it if one was chosen."""

    rows: tuple[Row, ...]
    bytes: Mapping[str, int]  # key → size, as the server told the page
    details: Mapping[str, str]  # "Name", "Size", "ETAG", "Tags" …
    metadata: Mapping[str, str]  # "Content-Type", "X-Amz-Meta-…"


def browse(
    server: Minio, bucket: str, folder: str = "", *, choose: str | None = None, picture: Path | None = None
) -> Folder:
    """Sign in as root and go to the folder ("a/b/"); look closely at the object of the name `choose`.

    Some thirty rows fit; more are an error. `picture` is where a screenshot of it all is put.
    """
    task: dict[str, Any] = {
        "url": server.console,
        "user": server.access_key,
        "password": server.secret_key,
        "bucket": bucket,
        "folder": folder,
        "object": choose,
        "picture": str(picture) if picture else None,
    }
    seen = see("console.mjs", task, expected=ASKS)
    return Folder(
        rows=tuple(Row(**row) for row in seen["rows"]),
        bytes={each["name"]: each["size"] for each in seen["told"] if not each["name"].endswith("/")},
        details=seen["details"] or {},
        metadata=seen["metadata"] or {},
    )
