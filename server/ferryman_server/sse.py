"""Server-Sent Events as bytes (HTML Living Standard §9.2, "Server-sent events").

What is told is JSON in one `data:` line, in ASCII alone: nothing that people chose, a file's name for instance, can end
a line or an event, whatever characters it has.
"""

import json
from collections.abc import Mapping
from typing import Final

RETRY: Final = b"retry: 2000\n\n"  # milliseconds after which a browser whose stream broke off comes back
STILL_HERE: Final = b": still here\n\n"  # a comment: keeps proxies from closing a stream on which nothing happens
LARGEST_ID: Final = 1 << 53  # ids stay below: JavaScript has no larger whole numbers

_encoder: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encoded(data: Mapping[str, object]) -> str:
    """One line of JSON. Raises TypeError and ValueError for values that JSON does not have."""
    return _encoder.encode(data)


def block(event: str, data: str, seq: int | None = None) -> bytes:
    """An event as it is sent; `data` as made by :func:`encoded`. One without a number leaves the client's last id."""
    head = "" if seq is None else f"id: {seq}\n"
    return f"{head}event: {event}\ndata: {data}\n\n".encode("ascii")


def read_id(text: str | None) -> int | None:
    """The number in a Last-Event-ID; None for none, and for what is not a number of ours."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > len(str(LARGEST_ID)):
        return None
    return int(text)
