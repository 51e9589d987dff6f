"""Which form of a frame a client is sent: what it accepts (RFC 9110 §12.5.1 and §12.5.3) against what there is.

What cannot be understood of a field is passed over; a field in which nothing can be understood says nothing. Where a
client likes several forms equally, it gets the frame's own bytes, since they cost nothing, or else the first of PNG,
JPEG, WebP and BMP.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from ferryman_server.media.frame_formats import MEDIA_TYPES, Format

Form: TypeAlias = Literal["own", "png", "jpeg", "webp", "bmp"]

PICTURE_TYPES: Final[Mapping[Form, str]] = MappingProxyType(
    {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "bmp": "image/bmp"}
)
"""What frames can be made, in the order in which they are chosen."""

PICTURE_SUFFIXES: Final[Mapping[Form, str]] = MappingProxyType(
    {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "bmp": ".bmp"}
)
"""What asks for these in a URL, and ends the names of their files."""

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# A comma in a quoted string parts nothing; one that is not closed goes on to the end.
_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_RANGE: Final = re.compile(rf"({_TOKEN})/({_TOKEN})")
_CODING: Final = re.compile(_TOKEN)
_WEIGHT: Final = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110 §12.4.2
_GZIP: Final = ("gzip", "x-gzip")  # §8.4.1.3: the second is the first


def offers(own: Format) -> dict[Form, str]:
    """The forms that there are of a frame with this format, and their media types; the first is liked best."""
    own_type = MEDIA_TYPES[own]
    made = {form: media_type for form, media_type in PICTURE_TYPES.items() if media_type != own_type}
    return {"own": own_type, **made}


def chosen_form(accept: str | None, own: Format) -> Form | None:
    """What a client with this Accept gets; None: nothing that there is."""
    ranges = dict(_media_ranges(accept or ""))
    if not ranges:
        return "own"
    liked = {form: _weight(media_type, ranges) for form, media_type in offers(own).items()}
    best = max(liked, key=lambda form: liked[form])  # of those that are alike the first
    return best if liked[best] else None


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client with this Accept-Encoding is sent gzip where it lies at hand: it takes it, and no less gladly
    than the plain bytes."""
    codings: dict[str, float] = {}
    for name, weight, _ in _elements(accept_encoding or ""):
        if _CODING.fullmatch(name):
            codings[name.lower()] = max(weight, codings.get(name.lower(), 0))
    gzip = max((codings[name] for name in _GZIP if name in codings), default=codings.get("*", 0))
    return gzip > 0 and gzip >= codings.get("identity", 0)


def _weight(media_type: str, ranges: Mapping[str, float]) -> float:
    """How much it is liked, by the most specific of the ranges that it is in."""
    for candidate in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0


def _media_ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Of a range that is there twice, the highest weight comes last. One with parameters is none of our types."""
    found: dict[str, float] = {}
    understood = False
    for name, weight, parameters in _elements(accept):
        if _RANGE.fullmatch(name):
            understood = True
            if not parameters:
                found[name.lower()] = max(weight, found.get(name.lower(), 0))
    if understood and not found:
        yield "*/*", 0  # it asks for something, and for nothing that there is
    yield from found.items()


def _elements(field: str) -> Iterator[tuple[str, float, bool]]:
    """Name, weight and whether there are parameters, of each element that can be understood."""
    for element in _ELEMENT.findall(field):
        name, *parameters = (part.strip(" \t") for part in element.split(";"))
        places = [place for place, parameter in enumerate(parameters) if parameter[:2] in ("q=", "Q=")]
        own = parameters[: places[0]] if places else parameters  # what follows the weight means nothing any more
        match = _WEIGHT.fullmatch(parameters[places[0]]) if places else None
        if match is not None or not places:
            yield name, 1.0 if match is None else float(match[1]), any(own)
