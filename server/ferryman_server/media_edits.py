"""What people may change of a medium, and what it may become: a JSON object's fields held against their rules.

docs/reference/media-api.md has them in a table. The first field that breaks a rule is refused by its name, with what
stood there and what is expected; so is a field that does not exist, since a slip of the pen must not pass for a change.
"""

import difflib
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NoReturn

from ferryman_protocol import problems
from ferryman_protocol.refusals import refusal
from ferryman_server.json_content import Value, shown
from ferryman_server.media.metadata import MAX_TITLE, shortened
from ferryman_server.state.media import HIGHEST_RATING, Edit
from ferryman_server.state.media_slugs import LONGEST, RESERVED, is_slug

MOST_TAGS: Final = 50  # of a medium
LONGEST_TAG: Final = 60  # characters

_UNPRINTABLE: Final = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of surrogate pairs, ends of lines and paragraphs
_SLUG: Final = (
    f"1 to {LONGEST} characters of a-z, 0-9 and single hyphens between them are expected, no number, "
    f"and not {' or '.join(sorted(RESERVED))}"
)
_TAG: Final = f"1 to {LONGEST_TAG} characters"


def edit_of(fields: Mapping[str, Value]) -> Edit:
    """The change that these fields ask for. Raises Refused (422)."""
    check_names(fields, FIELDS)
    values: dict[str, Any] = {name: FIELDS[name](value) for name, value in fields.items()}
    return Edit(**values)


def chosen_slug(fields: Mapping[str, Value]) -> str | None:
    """The medium that is to be shown, of `{"slug": …}`; None: no one. Raises Refused (422)."""
    check_names(fields, ("slug",))
    if "slug" not in fields:
        _refuse("slug", "slug is missing; a medium's slug is expected, or null")
    slug = fields["slug"]
    if slug is not None and not isinstance(slug, str):
        _refuse("slug", f"slug is {shown(slug)}; a medium's slug is expected, or null")
    return slug


def check_names(fields: Mapping[str, Value], known: Collection[str]) -> None:
    """Refuse (422) a field that there is not."""
    for name in fields:
        if name not in known:
            alike = difflib.get_close_matches(name.lower(), known, n=1)
            hint = f"; is {alike[0]} meant?" if alike else f"; there are: {', '.join(known)}"
            _refuse(shortened(name), f"there is no field '{shortened(name)}' here{hint}")


def tidy_tag(text: str) -> str:
    """A tag as it is kept: composed, without space around it. Raises ValueError with what is expected of one."""
    tag = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(tag) <= LONGEST_TAG:
        raise ValueError(f"{_TAG} are expected")
    if _unprintable(tag):
        raise ValueError(f"{_TAG} are expected, no control characters among them")
    return tag


def _title(value: Value) -> str:
    if not isinstance(value, str):
        _refuse("title", f"title is {shown(value)}; text is expected")
    title = value.strip()
    if not title:
        _refuse("title", "title is empty; text is expected")
    if len(title) > MAX_TITLE:
        _refuse("title", f"title has {len(title)} characters; at most {MAX_TITLE} are taken")
    if _unprintable(title):
        _refuse("title", f"title is {shown(title)}; text without control characters is expected")
    return title


def _slug(value: Value) -> str:
    if not isinstance(value, str) or not is_slug(value):
        _refuse("slug", f"slug is {shown(value)}; {_SLUG}")
    return value


def _tags(value: Value) -> list[str]:
    if not isinstance(value, list):
        _refuse("tags", f"tags is {shown(value)}; a list of text is expected")
    if len(value) > MOST_TAGS:
        _refuse("tags", f"tags has {len(value)} of them; at most {MOST_TAGS} are taken")
    tags: dict[str, None] = {}
    for at, text in enumerate(value):
        if not isinstance(text, str):
            _refuse("tags", f"tags[{at}] is {shown(text)}; text is expected")
        try:
            tag = tidy_tag(text)
        except ValueError as error:
            _refuse("tags", f"tags[{at}] is {shown(text)}; {error}")
        if tag in tags:
            _refuse("tags", f"tags[{at}] is {shown(text)}, which is there already; each is expected once")
        tags[tag] = None
    return list(tags)


def _favourite(value: Value) -> bool:
    if not isinstance(value, bool):
        _refuse("favourite", f"favourite is {shown(value)}; true or false is expected")
    return value


def _rating(value: Value) -> int:
    if not isinstance(value, int | float) or isinstance(value, bool) or value not in range(HIGHEST_RATING + 1):
        _refuse("rating", f"rating is {shown(value)}; a whole number from 0 (none) to {HIGHEST_RATING} is expected")
    return int(value)


FIELDS: Final[Mapping[str, Callable[[Value], Any]]] = {
    "title": _title,
    "slug": _slug,
    "tags": _tags,
    "favourite": _favourite,
    "rating": _rating,
}
"""The fields of an edit, and what makes a value of each or refuses it."""


def _unprintable(text: str) -> bool:
    return any(unicodedata.category(character) in _UNPRINTABLE for character in text)


def _refuse(field: str, detail: str) -> NoReturn:
    raise refusal(problems.INVALID_CONTENT, detail, members=[("field", field)])
