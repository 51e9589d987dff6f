"""What a listing of media is to tell, said about one medium: for tests that do it with a list."""

from ferryman_server.state.media import Medium, Selection, Sort
from ferryman_server.state.media_words import search_text, title_key, words_of


def fits(medium: Medium, selection: Selection) -> bool:
    """Whether a selection has this medium."""
    text = search_text(medium.title, medium.name, medium.tags)
    return (
        selection.kind in (None, medium.kind)
        and selection.favourite in (None, medium.favourite)
        and (selection.tag is None or selection.tag in medium.tags)
        and all(word in text for word in words_of(selection.search or ""))
    )


def place_of(medium: Medium, sort: Sort) -> tuple[str, float]:
    """Where a medium stands in an order, by a text or by a number; those that are alike, by their own number."""
    if sort == "name":
        return title_key(medium.title), 0
    numbers = {
        "date": medium.published_at,
        "size": medium.size,
        "duration": medium.duration or 0,
        "rating": medium.rating,
        "views": medium.views,
    }
    return "", numbers[sort]
