"""The cursor of a listing: where the last page ended, as text that clients hand back without looking inside.

A page is found by its key, (created_at, id), not by counting rows: what is created or deleted meanwhile neither
repeats a row nor leaves one out.
"""

import base64
import math
from typing import TypeAlias

Key: TypeAlias = tuple[float, str]  # (created_at, id) of the last row told


def to_cursor(key: Key) -> str:
    """The text form of a key: base64url without padding."""
    created_at, upload_id = key
    return base64.urlsafe_b64encode(f"{created_at!r}|{upload_id}".encode()).decode("ascii").rstrip("=")


def from_cursor(cursor: str) -> Key:
    """The key that :func:`to_cursor` wrote. Raises ValueError for anything else."""
    refusal = ValueError("this cursor was not made by this listing: leave it out to start from the newest upload")
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        created_at, separator, upload_id = text.partition("|")
        key = (float(created_at), upload_id)
    except ValueError as error:
        raise refusal from error
    # Only the exact text we would write is ours: one key, one cursor.
    if not separator or not math.isfinite(key[0]) or to_cursor(key) != cursor:
        raise refusal
    return key
