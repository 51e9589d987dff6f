"""Structured fields (RFC 9651): reading, writing, and the two kinds of field the upload protocol is made of.

The values are described in :mod:`ferryman_protocol.structured_values`, the rules of reading in
:mod:`ferryman_protocol.structured_parse`, those of writing in :mod:`ferryman_protocol.structured_serialise`; import
all of them from here.

Resumable uploads say of their fields (R1): an invalid value voids the whole field, so `Upload-Complete: true` (a Token,
no Boolean) counts as absent. :func:`integer_field` and :func:`boolean_field` keep that rule.
"""

from ferryman_protocol.headers import Headers
from ferryman_protocol.structured_parse import parse_dictionary, parse_item, parse_list
from ferryman_protocol.structured_serialise import serialise_dictionary, serialise_item, serialise_list
from ferryman_protocol.structured_values import (
    BareItem,
    Date,
    DisplayString,
    InnerList,
    Item,
    Member,
    Parameters,
    StructuredFieldError,
    Token,
)

__all__ = [
    "BareItem",
    "Date",
    "DisplayString",
    "InnerList",
    "Item",
    "Member",
    "Parameters",
    "StructuredFieldError",
    "Token",
    "boolean_field",
    "integer_field",
    "parse_dictionary",
    "parse_item",
    "parse_list",
    "serialise_dictionary",
    "serialise_item",
    "serialise_list",
]


def integer_field(headers: Headers, name: str) -> int | None:
    """The field's non-negative Integer; None when it is absent, doubled, or anything else. Parameters are ignored."""
    value = _bare_value(headers, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def boolean_field(headers: Headers, name: str) -> bool | None:
    """The field's Boolean; None when it is absent, doubled, or anything else. Parameters are ignored."""
    value = _bare_value(headers, name)
    return value if isinstance(value, bool) else None


def _bare_value(headers: Headers, name: str) -> BareItem | None:
    lines = headers.all(name)
    if not lines:
        return None  # most are absent from most requests: no scanner, no exception for them
    try:
        return parse_item(lines).value
    except StructuredFieldError:
        return None
