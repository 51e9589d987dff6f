"""The cursor of a listing of media: in which order, and where the last page ended.

As :mod:`.cursors` does for uploads: text that clients hand back without looking inside, and a page is found by its key,
not by counting rows. A cursor says which order it belongs to, since in another one it would lead anywhere.
"""

import base64
import json
import math
from typing import Final, TypeAlias

from ferryman_server.state.media import Sort

Value: TypeAlias = str | int | float
Key: TypeAlias = tuple[Value, int]  # (what is sorted by, the medium's number) of the last medium told

_HIGHEST: Final = (1 << 63) - 1  # what a database's integer holds


def to_cursor(sort: Sort, descending: bool, key: Key) -> str:
    """The text form: base64url without padding."""
    text = json.dumps([sort, descending, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def from_cursor(cursor: str, sort: Sort, descending: bool) -> Key:
    """The key that :func:`to_cursor` wrote for this order. Raises ValueError for anything else."""
    refusal = ValueError("this cursor was not made by a listing in this order: leave it out to start anew")
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        said_sort, said_descending, value, medium = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise refusal from error
    if (said_sort, said_descending) != (sort, descending) or not _fits(sort, value) or not _is_id(medium):
        raise refusal
    # Only the exact text we would write is ours: one key, one cursor.
    if to_cursor(sort, descending, (value, medium)) != cursor:
        raise refusal
    return value, medium


def _fits(sort: Sort, value: object) -> bool:
    if sort == "name":
        return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)
    if sort in ("date", "duration"):
        return isinstance(value, float) and math.isfinite(value)
    return _is_id(value)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _HIGHEST
