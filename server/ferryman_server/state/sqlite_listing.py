"""Pages of media, in every order and narrowed in every way, found without looking at many that are not told.

Theory: each order has an index, and a page is a stretch of it behind a key. What a listing is narrowed to (kind, tag,
favourites, words) is a set of numbers of media from another index (:mod:`.sqlite_filters`).

- Is one of these sets small, its media are looked up and sorted.
- Otherwise the next thousand media of the order are asked whether they fit: mostly the page is full by then.
- If it is not, what fits lies elsewhere in the order: its index is walked, and of each number it is asked whether it is
  in all of the sets. A set of 100,000 numbers takes about 10 ms to make, and a walk over as many 20 ms.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ferryman_server.state.media import MediaPage, Selection, Sort
from ferryman_server.state.media_cursors import Key, to_cursor
from ferryman_server.state.sqlite_filters import Clause, Filter, filters_of
from ferryman_server.state.sqlite_media import MEDIUM, from_row

SMALL: Final = 5_000  # numbers: looked up and sorted in about 5 ms
NEAR: Final = 1_000  # media: asked one by one in about 1 ms

ORDERS: Final[dict[Sort, tuple[str, str]]] = {
    "name": ("media_by_title", "title_key"),
    "date": ("media_by_date", "published_at"),
    "size": ("media_by_size", "size"),
    "duration": ("media_by_duration", "duration"),
    "rating": ("media_by_rating", "rating"),
    "views": ("media_by_views", "views"),
}
"""The index of each order, and its column."""


@dataclass(frozen=True, slots=True)
class _Order:
    """An order, and where in it a page begins."""

    index: str
    column: str
    direction: str
    sign: str  # of what comes behind
    after: Key | None

    @property
    def by(self) -> str:
        return f"ORDER BY {self.column} {self.direction}, media.id {self.direction}"

    @property
    def behind(self) -> list[Clause]:
        """What comes behind the key, as a condition."""
        return [] if self.after is None else [Clause(f"({self.column}, media.id) {self.sign} (?, ?)", self.after)]

    @property
    def stretches(self) -> list[list[Clause]]:
        """The same as stretches of the index, one behind the other: in an index, a number is sought for one value of
        the column only."""
        if self.after is None:
            return [[]]
        alike = Clause(f"{self.column} = ? AND media.id {self.sign} ?", self.after)
        return [[alike], [Clause(f"{self.column} {self.sign} ?", self.after[:1])]]


def fetch_page(connection: sqlite3.Connection, selection: Selection, limit: int, after: Key | None) -> MediaPage:
    """Up to `limit` media, from the first or from just behind a key."""
    rows = _find(connection, selection, limit + 1, after)
    media = [from_row(row[1:]) for row in rows[:limit]]
    if len(rows) <= limit or not media:
        return MediaPage(media, None)
    key = rows[limit - 1][0], media[-1].id
    return MediaPage(media, to_cursor(selection.sort, selection.descending, key))


def _find(connection: sqlite3.Connection, selection: Selection, limit: int, after: Key | None) -> list[Any]:
    index, column = ORDERS[selection.sort]
    direction, sign = ("DESC", "<") if selection.descending else ("ASC", ">")
    order = _Order(index, f"media.{column}", direction, sign, after)
    filters = list(filters_of(connection, selection))
    small = _smallest(connection, filters)
    if small is not None:
        return _look_up(connection, order, small, filters, limit)
    if filters:
        near = _near(connection, order)
        rows = _ask(connection, order, near, filters, limit)
        if len(rows) == limit or len(near) < NEAR:
            return rows
    return _walk(connection, order, filters, limit)


def _smallest(connection: sqlite3.Connection, filters: Sequence[Filter]) -> Clause | None:
    """The set with the fewest numbers, if that is SMALL."""
    smallest, fewest = None, SMALL + 1
    for _, numbers in filters:
        if numbers is not None:
            count = f"SELECT count(*) FROM ({numbers.text} LIMIT {fewest})"
            (size,) = connection.execute(count, numbers.values).fetchone()
            if size < fewest:
                smallest, fewest = numbers, size
    return smallest


def _look_up(
    connection: sqlite3.Connection, order: _Order, small: Clause, filters: Sequence[Filter], limit: int
) -> list[Any]:
    """Media of a small set that fit."""
    source = Clause(f"({small.text}) AS chosen CROSS JOIN media ON media.id = chosen.id", small.values)
    return _rows(connection, order, source, [*order.behind, *_conditions(filters)], limit)


def _near(connection: sqlite3.Connection, order: _Order) -> list[int]:
    """The numbers of the next media of the order, whatever they are."""
    near: list[int] = []
    for stretch in order.stretches:
        numbers = _numbers(order, Clause(f"media INDEXED BY {order.index}"), stretch)
        query = f"SELECT json_group_array(id) FROM ({numbers.text})"
        near += json.loads(connection.execute(query, (*numbers.values, NEAR - len(near))).fetchone()[0])
    return near


def _ask(
    connection: sqlite3.Connection, order: _Order, near: Sequence[int], filters: Sequence[Filter], limit: int
) -> list[Any]:
    """Those of these media that fit."""
    source = Clause("json_each(?) AS near CROSS JOIN media ON media.id = near.value", (json.dumps(near),))
    return _rows(connection, order, source, _conditions(filters), limit)


def _walk(connection: sqlite3.Connection, order: _Order, filters: Sequence[Filter], limit: int) -> list[Any]:
    """The next media of the order that fit, however far away."""
    source = Clause(f"media INDEXED BY {order.index}")
    sets = [Clause(f"+media.id IN ({numbers.text})", numbers.values) for _, numbers in filters if numbers is not None]
    rows: list[Any] = []
    for stretch in order.stretches:
        if len(rows) < limit:
            conditions = [*stretch, *sets, *_conditions(filters)]
            rows += _rows(connection, order, source, conditions, limit - len(rows))
    return rows


def _conditions(filters: Sequence[Filter]) -> Iterable[Clause]:
    return (condition for condition, _ in filters)


def _rows(
    connection: sqlite3.Connection, order: _Order, source: Clause, conditions: Iterable[Clause], limit: int
) -> list[Any]:
    """The key and the columns of media, in order."""
    numbers = _numbers(order, source, conditions)
    page = f"({numbers.text}) AS page CROSS JOIN media ON media.id = page.id"
    query = f"SELECT {order.column}, {MEDIUM} FROM {page} CROSS JOIN generations ON number = generation {order.by}"
    return connection.execute(query, (*numbers.values, limit)).fetchall()


def _numbers(order: _Order, source: Clause, conditions: Iterable[Clause]) -> Clause:
    """The numbers of media in order; a limit is to be added to the values."""
    values = list(source.values)
    texts: list[str] = []
    for condition in conditions:
        texts.append(condition.text)
        values += condition.values
    where = f"WHERE {' AND '.join(texts)}" if texts else ""
    return Clause(f"SELECT media.id FROM {source.text} {where} {order.by} LIMIT ?", tuple(values))
