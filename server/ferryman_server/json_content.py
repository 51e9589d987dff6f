"""A request's content as one JSON object: read with bounds, refused in words.

Beyond RFC 8259: no key twice in an object (what readers make of that is unpredictable, §4), and none of NaN and
Infinity, which Python's reader would take.
"""

import json
from collections.abc import Sequence
from typing import Final, NoReturn, TypeAlias

from starlette.requests import Request

from ferryman_protocol import problems
from ferryman_protocol.problems import Refused
from ferryman_protocol.refusals import quoted, refusal
from ferryman_server.body import End
from ferryman_server.media.metadata import shortened
from ferryman_server.receive_body import open_body
from ferryman_server.refusals import ended

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

MOST: Final = 64 << 10  # bytes: a title and 50 tags take 40 KiB at the very most
JSON: Final = "application/json"
_LONGEST_NUMBER: Final = 18  # digits that are read exactly: more are in no field's range


async def json_object(request: Request, types: Sequence[str] = (JSON,)) -> dict[str, Value]:
    """The content, of one of these media types. Raises Refused: 415, 413, 400, and what an upload is told whose content
    does not come to its end."""
    _check_type(request, types)
    data = await _content(request)
    try:
        return parse_object(data)
    except ValueError as error:
        raise refusal(problems.BAD_REQUEST, f"The content is not as it should be: {error}.") from None


def parse_object(data: bytes) -> dict[str, Value]:
    """Read an object. Raises ValueError, with words for people, and nothing else."""
    try:
        text = data.decode("utf-8-sig")
        whole: Value = json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8, see its byte {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if text.strip() else "it is empty"
        raise ValueError(f"it is not JSON: {where}") from None
    except RecursionError:
        raise ValueError("it has lists or objects in one another, too deep to be read") from None
    if not isinstance(whole, dict):
        raise ValueError(f"it is {shown(whole)}; an object is expected")
    return whole


def shown(value: Value) -> str:
    """What stood there, for a sentence."""
    match value:
        case str():
            return f"'{shortened(value)}'"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "an object"
    return shortened(json.dumps(value))


def _check_type(request: Request, types: Sequence[str]) -> None:
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        detail = f"Content-Encoding is {quoted(coding)}; plain JSON is expected"
        # RFC 9110 §12.5.3: Accept-Encoding tells what is taken instead
        raise refusal(problems.UNSUPPORTED_CODING, detail, headers=[("Accept-Encoding", "identity")])
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in types:
        detail = f"Content-Type is {quoted(said) if said else 'missing'}; {' or '.join(types)} is expected"
        # RFC 5789 §2.2: so does Accept-Patch
        headers = [("Accept-Patch", ", ".join(types))] if request.method == "PATCH" else []
        raise refusal(problems.UNSUPPORTED_MEDIA_TYPE, detail, headers=headers)


class _TooLong(Exception):
    """More content than is taken."""


class _Sink:
    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def offset(self) -> int:
        return len(self.data)

    def write(self, piece: memoryview) -> None:
        if len(self.data) + len(piece) > MOST:
            raise _TooLong
        self.data += piece


async def _content(request: Request) -> bytes:
    body, sink = open_body(request.scope, request.receive), _Sink()
    try:
        if (body.length or 0) > MOST:
            raise _TooLong
        end = await body.pour(sink)
    except _TooLong:
        raise refusal(problems.CONTENT_TOO_LARGE, f"The content has more than {MOST} bytes.") from None
    if end is not End.COMPLETE:
        raise Refused(ended(end))
    return bytes(sink.data)


def _unique(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"'{shortened(key)}' stands twice in one object")
        fields[key] = value
    return fields


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _LONGEST_NUMBER else float(text)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
