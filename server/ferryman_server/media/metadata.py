"""metadata.json: what an archive of frames says of itself.

Its fields are described for people in docs/reference/frames.md and for programs in docs/reference/metadata.schema.json;
tests hold the three against each other. Beyond what a schema can say: UTF-8, with or without a byte order mark; at most
MAX_METADATA bytes; no key twice in an object (RFC 8259 §4: what readers make of that is unpredictable).

Numbers are kept as they are written until a field asks for one: a refusal shows what stood there, no number is too long
to be read, and NaN and Infinity, which are not JSON though some writers emit them, are refused where they matter.
"""

import json
import math
import unicodedata
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from ferryman_server.humane import printable
from ferryman_server.media.frame_formats import Format

MAX_METADATA: Final = 1024 * 1024  # bytes: 30,000 file names of 32 characters
MAX_SIDE: Final = 16_384  # pixels: what graphics cards take as one texture, and WebP almost
MAX_FPS: Final = 1000
MAX_FRAMES: Final = 1_000_000_000
MAX_TITLE: Final = 200  # characters

_REQUIRED: Final = ("width", "height", "format", "fps")
_FORMATS: Final = {form.value: form for form in Format} | {"jpg": Format.JPEG}
_SIDE: Final = f"a whole number from 1 to {MAX_SIDE}"
_FRAMES: Final = "the number of frames, 1 or more, or the list of their file names"
_SHORT: Final = 17  # digits: shorter whole numbers are read at once
_SHOWN: Final = 60  # characters


class BadMetadata(Exception):
    """It cannot be used. `str()` says what stood there and what is expected, and names the field."""

    def __init__(self, field: str | None, reason: str) -> None:
        """`field`: the one at fault; None: it is the whole."""
        self.field = field
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What it says."""

    width: int  # pixels
    height: int
    format: Format
    fps: float  # frames a second
    frames: int | tuple[str, ...] | None = None  # how many, or which files in which order; None: it does not say
    title: str | None = None


@dataclass(slots=True)
class _Number:
    text: str


_Value: TypeAlias = "bool | int | str | _Number | list[_Value] | dict[str, _Value] | None"


def parse_metadata(data: bytes) -> Metadata:
    """Read the content of a metadata.json. Raises BadMetadata, for the first thing that is wrong, and nothing else."""
    fields = _object(_text(data))
    _check_there(fields)
    return Metadata(
        width=_whole("width", fields["width"], MAX_SIDE, _SIDE),
        height=_whole("height", fields["height"], MAX_SIDE, _SIDE),
        format=_format(fields["format"]),
        fps=_fps(fields["fps"]),
        frames=_frames(fields.get("frames")),
        title=_title(fields.get("title")),
    )


def shortened(text: str, most: int = _SHOWN) -> str:
    """A stranger's text for a sentence of ours: printable, and without its middle when it is long."""
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most // 2) :]}"
    return printable(text)


def _text(data: bytes) -> str:
    if len(data) > MAX_METADATA:
        raise BadMetadata(None, f"it has {len(data)} bytes; at most {MAX_METADATA} are taken")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadMetadata(None, "it is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadMetadata(None, f"it is not UTF-8, see its byte {error.start}; save it as UTF-8") from None


def _object(text: str) -> dict[str, _Value]:
    try:
        whole: _Value = json.loads(
            text, object_pairs_hook=_unique, parse_int=_int, parse_float=_Number, parse_constant=_Number
        )
    except json.JSONDecodeError as error:
        raise BadMetadata(None, _not_json(text, error)) from None
    except RecursionError:
        raise BadMetadata(None, "it has lists or objects in one another, too deep to be read") from None
    if not isinstance(whole, dict):
        raise BadMetadata(None, f'it is {_shown(whole)}; an object is expected: {{"width": …, "height": …}}')
    return whole


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "it is empty"
    rest = text[error.pos :].lstrip()
    what = f"before {shortened(rest[:20])}" if rest else "where it ends too early"
    return f"it is not JSON in line {error.lineno}, column {error.colno}, {what}"


def _unique(pairs: list[tuple[str, _Value]]) -> dict[str, _Value]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                name = shortened(key)
                raise BadMetadata(name, f"{name} stands twice in one object; once is expected")
            seen.add(key)
    return fields


def _int(text: str) -> int | _Number:
    return int(text) if len(text) <= _SHORT else _Number(text)


def _check_there(fields: dict[str, _Value]) -> None:
    missing = [name for name in _REQUIRED if name not in fields]
    if not missing:
        return
    alike = next((key for key in fields if key.strip().lower() == missing[0]), None)
    hint = "" if alike is None else f" (there is '{shortened(alike)}': names are in lower case)"
    *others, last = missing
    names = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    raise BadMetadata(missing[0], f"{names} missing{hint}")


def _refuse(field: str, value: _Value, expected: str, *, at: int | None = None) -> NoReturn:
    where = field if at is None else f"{field}[{at}]"
    raise BadMetadata(field, f"{where} is {_shown(value)}; {expected} is expected")


def _shown(value: _Value) -> str:
    match value:
        case str():
            return f"'{shortened(value)}'"
        case _Number():
            return shortened(value.text)
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "an object"
    return json.dumps(value)


def _number(value: _Value) -> float:
    """NaN when it is none."""
    if isinstance(value, _Number):
        return float(value.text)
    return value if isinstance(value, int) and not isinstance(value, bool) else math.nan


def _whole(field: str, value: _Value, most: int, expected: str) -> int:
    number = _number(value)
    if not (1 <= number <= most and number == int(number)):
        _refuse(field, value, expected)
    return int(number)


def _fps(value: _Value) -> float:
    number = float(_number(value))
    if not 0 < number <= MAX_FPS:
        _refuse("fps", value, f"a number above 0, up to {MAX_FPS}")
    return number


def _format(value: _Value) -> Format:
    written = value.lower() if isinstance(value, str) else ""
    if written == "rgb565":
        raise BadMetadata(
            "format",
            f"format is {_shown(value)}, which does not say the order of the two bytes; "
            "rgb565le (the low byte first) or rgb565be (the high byte first) is expected",
        )
    if written not in _FORMATS:
        _refuse("format", value, f"one of {', '.join(Format)}")
    return _FORMATS[written]


def _frames(value: _Value) -> int | tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        return _whole("frames", value, MAX_FRAMES, _FRAMES)
    if not value:
        _refuse("frames", value, _FRAMES)
    names: dict[str, None] = {}
    for at, name in enumerate(value):
        if not isinstance(name, str) or not name:
            _refuse("frames", name, "a file name", at=at)
        if name in names:
            raise BadMetadata("frames", f"frames lists '{shortened(name)}' twice; each file is expected once")
        names[name] = None
    return tuple(names)


def _title(value: _Value) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        _refuse("title", value, "text")
    if len(value) > MAX_TITLE:
        raise BadMetadata("title", f"title has {len(value)} characters; at most {MAX_TITLE} are taken")
    for at, character in enumerate(value):
        # also what ends a line or a paragraph, and half a surrogate pair, which no UTF-8 can hold
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise BadMetadata(
                "title", f"title has the control character U+{ord(character):04X} at place {at}; plain text is expected"
            )
    return value.strip() or None
