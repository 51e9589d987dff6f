"""What a listing of media is asked for: the parameters of its URL, each held against what it may be."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NoReturn, cast, get_args

from starlette.datastructures import QueryParams

from ferryman_protocol import problems
from ferryman_protocol.refusals import quoted, refusal
from ferryman_server.media.metadata import shortened
from ferryman_server.media_edits import tidy_tag
from ferryman_server.state.media import Kind, Selection, Sort

MOST: Final = 500  # of one answer
USUAL: Final = 100
LONGEST_SEARCH: Final = 200  # characters

PARAMETERS: Final = ("sort", "order", "limit", "cursor", "search", "tag", "kind", "favourite")
_SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of which selection."""

    selection: Selection
    limit: int
    cursor: str | None


def listing_of(query: QueryParams) -> Listing:
    """Read the parameters. Raises Refused (400)."""
    said = parameters(query, PARAMETERS)
    sort = _one_of("sort", said.get("sort", "date"), _SORTS)
    order = _one_of("order", said.get("order", "asc" if sort == "name" else "desc"), ("asc", "desc"))
    favourite = _one_of("favourite", said["favourite"], ("true", "false")) if "favourite" in said else None
    selection = Selection(
        sort=cast(Sort, sort),
        descending=order == "desc",
        search=_search(said.get("search", "")),
        tag=_tag(said["tag"]) if "tag" in said else None,
        kind=cast(Kind, _one_of("kind", said["kind"], _KINDS)) if "kind" in said else None,
        favourite=None if favourite is None else favourite == "true",
    )
    return Listing(selection, whole_number(said, "limit", USUAL, 1, MOST), said.get("cursor"))


def parameters(query: QueryParams, names: Collection[str]) -> dict[str, str]:
    """What is said, by name. Refuses names that there are not, and those that come twice."""
    said: dict[str, str] = {}
    for name, value in query.multi_items():
        if name not in names:
            refuse(name, f"there is no parameter {quoted(name)} here; there are: {', '.join(names)}")
        if name in said:
            refuse(name, f"{name} stands there twice; once is expected")
        said[name] = value
    return said


def whole_number(said: dict[str, str], name: str, usual: int, least: int, most: int) -> int:
    """A parameter that is a number. Raises Refused."""
    text = said.get(name, str(usual))
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not least <= int(text) <= most:
        refuse(name, f"{name} is {quoted(text)}; a whole number from {least} to {most} is expected")
    return int(text)


def refuse(name: str, detail: str) -> NoReturn:
    """Refuse a parameter (400)."""
    raise refusal(problems.BAD_REQUEST, detail, members=[("parameter", shortened(name))])


def _one_of(name: str, text: str, choices: Collection[str]) -> str:
    if text not in choices:
        refuse(name, f"{name} is {quoted(text)}; one of {', '.join(choices)} is expected")
    return text


def _search(text: str) -> str | None:
    if len(text) > LONGEST_SEARCH:
        refuse("search", f"search has {len(text)} characters; at most {LONGEST_SEARCH} are taken")
    return text or None


def _tag(text: str) -> str:
    try:
        return tidy_tag(text)
    except ValueError as error:
        refuse("tag", f"tag is {quoted(text)}; {error}")
