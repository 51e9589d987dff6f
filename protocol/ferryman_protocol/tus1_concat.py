"""tus `Upload-Concat`: `partial`, or `final;` and the URLs of partial uploads.

The URLs name uploads of this server, by an absolute URL or by a path; only the path counts, since the host is what a
proxy made of it. It must be the collection's path and an id, nothing else: no dots, no query, no encoded letters. So a
name can never lead out of the collection.
"""

import re
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import is_id
from ferryman_protocol.model import Concat, Limits
from ferryman_protocol.refusals import quoted, refusal

_ORIGIN: Final = re.compile(r"https?://[^/?#\s\\@]+", re.IGNORECASE)


def read_concat(headers: Headers, limits: Limits) -> tuple[Concat | None, tuple[str, ...]]:
    """The part the new upload plays, and the ids a final one names, in order; raises Refused (400)."""
    value = headers.joined("upload-concat")
    if value is None:
        return None, ()
    if value == "partial":
        return Concat.PARTIAL, ()
    word, separator, urls = value.partition(";")
    named = [url for url in urls.split(" ") if url]
    if word != "final" or not separator or not named:
        detail = f"Upload-Concat must be `partial` or `final;` and URLs, not {quoted(value)}."
        raise refusal(problems.INVALID_CONCATENATION, detail)
    return Concat.FINAL, tuple(_id(url, limits) for url in named)


def _id(url: str, limits: Limits) -> str:
    origin = _ORIGIN.match(url)
    path = url[origin.end() :] if origin else url
    upload_id = path.removeprefix(limits.files_path)
    if upload_id == path or not is_id(upload_id):
        detail = f"Upload-Concat names {quoted(url)}, which is not the URL of an upload below {limits.files_path}."
        raise refusal(problems.INVALID_CONCATENATION, detail)
    return upload_id
