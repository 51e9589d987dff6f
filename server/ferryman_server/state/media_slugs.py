"""Slugs: the names of media in URLs, made of titles.

A slug is 1 to 80 characters of a-z, 0-9 and single hyphens between them. So it is no path, needs no escaping and looks
the same in upper and lower case. It is not to be taken for a number, an id or a range of frames either, nor for one of
the words that the URLs beside it use.
"""

import re
import unicodedata
from typing import Final

LONGEST: Final = 80  # characters
NAMELESS: Final = "medium"  # what is left nothing of
RESERVED: Final = frozenset({"active"})  # /api/media/active is what the player shows

_FORM: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_OTHERS: Final = re.compile(r"[^a-z0-9]+")
# What some reader takes for a number (1e5, 0x1f, nan) or a range of them, also before a number was put behind it.
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|0[bo][0-9]*|[0-9]+e?[0-9]*|nan|inf|infinity)(-[0-9]+)*")


def is_slug(text: str) -> bool:
    """Whether this may be a medium's slug."""
    whole = len(text) <= LONGEST and _FORM.fullmatch(text) is not None
    return whole and text not in RESERVED and _NUMBER.fullmatch(text) is None


def make_slug(text: str) -> str:
    """A slug for any text; it may be RESERVED, as it may be taken."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return _safe(_OTHERS.sub("-", letters), LONGEST)


def numbered(slug: str, number: int) -> str:
    """The slug with a number behind it, for when it is taken: it stays within LONGEST."""
    ending = f"-{number}"
    return _safe(slug, LONGEST - len(ending)) + ending


def _safe(text: str, room: int) -> str:
    slug = text.strip("-")[:room].rstrip("-")
    if not slug:
        return NAMELESS
    return _safe(f"{NAMELESS}-{slug}", room) if _NUMBER.fullmatch(slug) else slug
