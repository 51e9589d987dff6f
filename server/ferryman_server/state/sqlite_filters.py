"""What a listing of media is narrowed to, as parts of a query.

Words are found by runs of three characters, which tell a superset; each medium that comes so far is asked itself. Words
of one or two characters are found by all runs that begin with them, unless these are many.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ferryman_server.state.media import Selection
from ferryman_server.state.media_words import threes_of, words_of

MOST_THREES: Final = 64  # that begin with a short word
MOST_OF_THREES: Final = 50_000  # media that these are in, counted for each

_THREES: Final = f"SELECT term, doc FROM media_threes WHERE term >= ? AND term < ? LIMIT {MOST_THREES + 1}"
_MATCHING: Final = "SELECT rowid AS id FROM media_search WHERE media_search MATCH ?"
_HIGHEST: Final = "\U0010ffff"


class Clause(NamedTuple):
    """A part of a query, and the values of its parameters."""

    text: str
    values: tuple[Any, ...] = ()


class Filter(NamedTuple):
    """What a medium must be: a condition on its row, and a query for the numbers (`id`) of all media that may be so, if
    an index has them."""

    condition: Clause
    numbers: Clause | None = None


def filters_of(connection: sqlite3.Connection, selection: Selection) -> Iterator[Filter]:
    """All that a medium of this selection must be."""
    if selection.kind is not None:
        kind = (selection.kind,)
        yield Filter(Clause("media.kind = ?", kind), Clause("SELECT id FROM media WHERE kind = ?", kind))
    if selection.tag is not None:
        tag = (selection.tag,)
        tagged = Clause("EXISTS (SELECT 1 FROM tags WHERE media_id = media.id AND tag = ?)", tag)
        yield Filter(tagged, Clause("SELECT media_id AS id FROM tags WHERE tag = ?", tag))
    if selection.favourite:
        yield Filter(Clause("media.favourite = 1"), Clause("SELECT id FROM media WHERE favourite = 1"))
    elif selection.favourite is not None:
        yield Filter(Clause("media.favourite = 0"))
    words = words_of(selection.search or "")
    if words:
        yield _having(connection, words)


def _having(connection: sqlite3.Connection, words: list[str]) -> Filter:
    """All of these words."""
    found = Clause(" AND ".join(["instr(media.search_text, ?) > 0"] * len(words)), tuple(words))
    matches = [match for word in words if (match := _match(connection, word)) is not None]
    if "" in matches:
        return Filter(found, Clause("SELECT 0 AS id WHERE 0"))
    return Filter(found, Clause(_MATCHING, (" AND ".join(matches),)) if matches else None)


def _match(connection: sqlite3.Connection, word: str) -> str | None:
    """A word in the language of the search index; None: it is in too many media; empty: in none."""
    threes, joint = threes_of(word), " AND "
    if not threes:
        rows = connection.execute(_THREES, (word, word + _HIGHEST)).fetchall()
        if len(rows) > MOST_THREES or sum(row[1] for row in rows) > MOST_OF_THREES:
            return None
        threes, joint = [row[0] for row in rows], " OR "
    texts = ['"' + three.replace('"', '""') + '"' for three in threes]
    return f"({joint.join(texts)})" if texts else ""
