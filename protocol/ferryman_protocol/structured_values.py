"""The values that structured fields (RFC 9651) are made of, and the error they are refused with.

A field is an Item, a List or a Dictionary. The bare value of an Item has one of eight types, and each has a Python
type of its own, so that nothing is guessed back when a value is written again:

    Integer         int         at most 15 digits
    Decimal         Decimal     at most 12 digits before the point, 3 after it
    String          str         printable ASCII
    Token           Token
    Byte Sequence   bytes
    Boolean         bool        `True == 1` in Python: compare types too where both may come
    Date            Date        whole seconds since the epoch
    Display String  DisplayString   any Unicode text
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

MAX_INTEGER: Final = 999_999_999_999_999  # RFC 9651 §3.3.1; the least is its negative
KEY_PATTERN: Final = r"[a-z*][a-z0-9_\-.*]*+"  # RFC 9651 §3.1.2: key
TOKEN_PATTERN: Final = r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+"  # RFC 9651 §3.3.4: sf-token


class StructuredFieldError(ValueError):
    """A field that does not follow RFC 9651, or a value that cannot be written by it.

    `position` is the byte at which reading failed, counted from 0 in the field's lines joined with ", "; None when a
    value could not be written.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message if position is None else f"byte {position}: {message}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Token:
    """A short word without quotes, for instance `gzip` or `text/plain` (RFC 9651 §3.3.4)."""

    text: str


@dataclass(frozen=True, slots=True)
class Date:
    """A moment in whole seconds since the epoch, written `@1659578233` (RFC 9651 §3.3.7)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class DisplayString:
    """Unicode text for people, written `%"…"` (RFC 9651 §3.3.8)."""

    text: str


BareItem: TypeAlias = int | Decimal | str | Token | bytes | bool | Date | DisplayString
Parameters: TypeAlias = Mapping[str, BareItem]


@dataclass(frozen=True, slots=True)
class Item:
    """A bare value with its parameters, in order (RFC 9651 §3.3)."""

    value: BareItem
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InnerList:
    """Items in parentheses, with parameters of their own (RFC 9651 §3.1.1)."""

    items: tuple[Item, ...]
    parameters: Parameters = field(default_factory=dict)


Member: TypeAlias = Item | InnerList
