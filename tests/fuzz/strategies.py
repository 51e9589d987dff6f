"""Hypothesis strategies: requests that are valid, requests that once were, and requests that never could be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hypothesis import strategies as st

from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Limits, Request
from tests.fuzz.corpus import seeds, situations
from tests.fuzz.request_text import Situation
from tests.protocol import requests

Fields = list[tuple[str, str]]

_VALID: Final = situations()
_NAMES: Final = sorted({name for situation in _VALID for name, _ in situation.request.headers})
_VALUES: Final = sorted({value for situation in _VALID for _, value in situation.request.headers})
_IDS: Final = sorted({each.request.upload_id for each in _VALID if each.request.upload_id is not None})

_UPLOADS: Final = [each.upload for each in _VALID if each.upload is not None]
_LINES: Final = [
    seed.decode("latin-1") for target in ("structured", "metadata", "digests", "values") for seed in seeds(target)
]
_SELDOM: Final = st.integers(0, 15).map(lambda number: number == 11)  # what Hypothesis has no liking for

latin: Final = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"), max_size=40)
_raw: Final = st.binary(max_size=30)
_values: Final = st.sampled_from(_VALUES) | latin
_fields: Final = st.tuples(st.sampled_from(_NAMES), _values)
_sizes: Final = st.none() | st.integers(0, 20) | st.sampled_from([10**15 - 1, 2**40])


def _limits(known: Limits) -> st.SearchStrategy[Limits]:
    """The limits of a case, or others."""
    return st.just(known) | st.builds(
        replace, st.just(known), max_size=_sizes, max_append_size=_sizes, min_append_size=_sizes, max_age=_sizes
    )


@st.composite
def mutated(draw: st.DrawFn) -> Situation:
    """A case of the vectors, in up to three places another one."""
    known = draw(st.sampled_from(_VALID))
    request = known.request
    fields: Fields = list(request.headers)
    method, upload_id, upload = request.method, request.upload_id, known.upload
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=3)):
        change(draw, fields)
    if draw(_SELDOM):
        method = draw(st.sampled_from(["POST", "PUT", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS", "BREW", "post", ""]))
    if draw(_SELDOM):
        upload_id = draw(st.none() | st.sampled_from(_IDS) | latin)
    if upload_id is not None and draw(_SELDOM) is (upload is not None):
        upload = draw(st.sampled_from(_UPLOADS))
    sent = Request(method=method, upload_id=upload_id or None, headers=Headers(tuple(fields)))
    return Situation(request=sent, limits=draw(_limits(known.limits)), upload=upload)


def _add(draw: st.DrawFn, fields: Fields) -> None:
    fields.append(draw(_fields))


def _drop(draw: st.DrawFn, fields: Fields) -> None:
    if fields:
        del fields[draw(st.integers(0, len(fields) - 1))]


def _double(draw: st.DrawFn, fields: Fields) -> None:
    if fields:
        fields.append(draw(st.sampled_from(fields)))


def _exchange(draw: st.DrawFn, fields: Fields) -> None:
    if fields:
        at = draw(st.integers(0, len(fields) - 1))
        fields[at] = (fields[at][0], draw(_values))


def _retouch(draw: st.DrawFn, fields: Fields) -> None:
    if fields:
        at = draw(st.integers(0, len(fields) - 1))
        name, value = fields[at]
        fields[at] = (name, _retouched(draw, value).strip(" \t"))


def _retouched(draw: st.DrawFn, text: str) -> str:
    """The text with a few characters in the place of a few others."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 3)))
    put = draw(st.text(st.sampled_from('0123456789?:;,="\\ \t-+/*%aA.é\x7f'), max_size=3))
    return text[:start] + put + text[end:]


@st.composite
def field_lines(draw: st.DrawFn) -> bytes:
    """The lines of one field: some of the vectors', retouched; or anything."""
    if draw(_SELDOM):
        return "\n".join(draw(st.lists(latin, max_size=3))).encode("latin-1")
    text = draw(st.sampled_from(_LINES))
    for _ in range(draw(st.integers(0, 3))):
        text = _retouched(draw, text)
    return text.encode("latin-1")


_CHANGES: Final[list[Callable[[st.DrawFn, Fields], None]]] = [
    *(_add, _drop, _exchange, _exchange, _retouch, _retouch, _retouch),
    _double,  # seldom: nearly every doubled field is refused before anything else is read
]


def constructed() -> st.SearchStrategy[Situation]:
    """Requests put together from the fields of both protocols, about any of the uploads of the vectors."""
    uploads = st.sampled_from(_UPLOADS)
    return st.builds(Situation, request=requests.requests(), limits=requests.limits, upload=uploads)


def garbage() -> st.SearchStrategy[Situation]:
    """Bytes for names and values, as an ASGI server hands them over."""
    names = st.sampled_from(_NAMES).map(str.encode) | _raw
    headers = st.lists(st.tuples(names, _raw), max_size=12).map(Headers.from_raw)
    methods = st.sampled_from(["POST", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS"]) | st.text("ABCXYZ", max_size=8)
    ids = st.none() | st.sampled_from(_IDS) | st.text(max_size=30).filter(bool)
    made = st.builds(Request, method=methods, upload_id=ids, headers=headers)
    return st.builds(Situation, request=made, limits=requests.limits, upload=st.none() | st.sampled_from(_UPLOADS))


def any_situation() -> st.SearchStrategy[Situation]:
    """All three, the almost valid ones most often: they go deepest."""
    kinds = [mutated(), mutated(), mutated(), mutated(), mutated(), constructed(), garbage()]
    return st.integers(0, len(kinds) - 1).flatmap(kinds.__getitem__)
