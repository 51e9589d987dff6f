"""How titles are ordered and found, whatever case and accents they are written with.

Both keys are text, compared by code point, so that a database's index and Python agree.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

MOST_WORDS: Final = 16  # of a search; those behind are not looked at
_ACCENTS: Final = re.compile("[\u0300-\u036f]")  # the other combining marks make other letters, in Thai for instance
_NO_TEXT: Final = frozenset({"Cc", "Cf", "Cs"})  # control and format characters, halves of surrogate pairs
_KEY: Final = 100  # characters of a title that tell its place
_DIGITS: Final = re.compile(r"[0-9]+")
_LONGEST_RUN: Final = 99  # digits


def folded(text: str) -> str:
    """The text without case, accents and control characters, its words set apart by one space."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = (" " if unicodedata.category(char) in _NO_TEXT else char for char in _ACCENTS.sub("", plain))
    return " ".join("".join(kept).split())


def title_key(title: str) -> str:
    """Where a title stands among others: as people count, "frame 2" before "frame 10"."""
    return _DIGITS.sub(_counted, folded(title)[:_KEY])[: 2 * _KEY]


def search_text(title: str, name: str, tags: Iterable[str]) -> str:
    """What is searched. Each part is a line; two empty ones behind let every character begin a run of three."""
    return "\n".join([folded(part) for part in (title, name, *tags)] + ["", ""])


def words_of(search: str) -> list[str]:
    """The words that are all to be in the search text, each once."""
    return list(dict.fromkeys(folded(search).split(" ")))[:MOST_WORDS] if folded(search) else []


def threes_of(word: str) -> list[str]:
    """As few runs of three characters as cover the word; none for a shorter one."""
    places = [*range(0, len(word) - 3, 3), len(word) - 3] if len(word) >= 3 else []
    return list(dict.fromkeys(word[place : place + 3] for place in places))


def _counted(run: re.Match[str]) -> str:
    """A number that compares as text: its length, then its digits."""
    digits = run.group().lstrip("0")[:_LONGEST_RUN]
    return f"{len(digits):02}{digits}"
