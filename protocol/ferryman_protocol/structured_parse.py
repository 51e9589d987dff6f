"""Reading structured fields: the algorithms of RFC 9651 §4.2.

Strict throughout: what does not follow the grammar fails as a whole, and the caller then treats the field as if it
had not been sent (R1). Rules that surprise:

- The lines of one field are joined with ", " first, so a doubled Item fails and a doubled List goes on.
- A String may hold a comma, so a String cut in two by two lines is read as one; the RFC allows that.
- Only spaces surround a value, but spaces and tabs surround the commas of a List or Dictionary.
- A repeated key keeps its first place and takes its last value.
- A Byte Sequence without its padding, or with bits set in the last character's unused part, is read: §4.2.7 says
  parsers SHOULD NOT fail on these. Padding that is there must be whole and at the end.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from ferryman_protocol.structured_values import (
    KEY_PATTERN,
    TOKEN_PATTERN,
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

_SP: Final = re.compile(r" *+")
_OWS: Final = re.compile(r"[ \t]*+")
_KEY: Final = re.compile(KEY_PATTERN)
_TOKEN: Final = re.compile(TOKEN_PATTERN)
_NUMBER: Final = re.compile(r"-?([0-9]++)(?:\.([0-9]*+))?")
_STRING: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*+)"')
_BYTES: Final = re.compile(r":([A-Za-z0-9+/]*+={0,2}):")
_DISPLAY: Final = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*+)"')

_INTEGER_DIGITS: Final = 15  # §4.2.4
_DECIMAL_DIGITS: Final = (12, 3)  # §4.2.4: before and after the point


def parse_item(lines: Sequence[str]) -> Item:
    """Read a field that is one Item. Raises StructuredFieldError, also for an empty or doubled field."""
    scanner = _Scanner(lines)
    item = scanner.item()
    scanner.end()
    return item


def parse_list(lines: Sequence[str]) -> list[Member]:
    """Read a List; no lines or an empty one give an empty list. Raises StructuredFieldError."""
    scanner = _Scanner(lines)
    members: list[Member] = []
    more = not scanner.at_end()
    while more:
        members.append(scanner.member())
        more = scanner.comma()
    return members


def parse_dictionary(lines: Sequence[str]) -> dict[str, Member]:
    """Read a Dictionary, in order; no lines or an empty one give an empty dict. Raises StructuredFieldError."""
    scanner = _Scanner(lines)
    members: dict[str, Member] = {}
    more = not scanner.at_end()
    while more:
        key = scanner.key()
        # A key alone stands for Boolean true (§4.2.2).
        members[key] = scanner.member() if scanner.take("=") else Item(True, scanner.parameters())
        more = scanner.comma()
    return members


class _Scanner:
    """The field's text and the place reading has come to; each method reads one thing and moves on."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._text = ", ".join(lines)
        self._at = 0
        self._skip(_SP)

    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self._at == len(self._text)

    def end(self) -> None:
        """Demand that only spaces are left (§4.2, steps 6 and 7)."""
        self._skip(_SP)
        if not self.at_end():
            raise self._error("the field should end here")

    def comma(self) -> bool:
        """Move to the next member; False at the end of the field. A comma must be followed by a member."""
        self._skip(_OWS)
        if self.at_end():
            return False
        if not self.take(","):
            raise self._error("a comma should stand between members")
        self._skip(_OWS)
        if self.at_end():
            raise self._error("nothing follows the last comma")
        return True

    def take(self, character: str) -> bool:
        """Move past this character if it comes next."""
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        return True

    def key(self) -> str:
        """Read a member's or parameter's name (§4.2.3.3)."""
        return self._match(_KEY, "a key begins with a lower-case letter or *")[0]

    def member(self) -> Member:
        """Read an Item or an Inner List (§4.2.1.1)."""
        return self._inner_list() if self.take("(") else self.item()

    def item(self) -> Item:
        """Read a bare value and its parameters (§4.2.3)."""
        return Item(self._bare_item(), self.parameters())

    def parameters(self) -> Parameters:
        """Read `;key=value` as often as it comes (§4.2.3.2)."""
        found: dict[str, BareItem] = {}
        while self.take(";"):
            self._skip(_SP)
            key = self.key()
            found[key] = self._bare_item() if self.take("=") else True
        return found

    def _inner_list(self) -> InnerList:
        """Read on behind an opening parenthesis (§4.2.1.2)."""
        items: list[Item] = []
        while True:
            self._skip(_SP)
            if self.take(")"):
                return InnerList(tuple(items), self.parameters())
            items.append(self.item())
            if not self._text.startswith((" ", ")"), self._at):
                raise self._error("a space or a closing parenthesis should follow an item of an inner list")

    def _bare_item(self) -> BareItem:
        """Read a value; its first character tells its type (§4.2.3.1)."""
        match self._text[self._at : self._at + 1]:
            case '"':
                return self._string()
            case ":":
                return self._bytes()
            case "?":
                return self._boolean()
            case "@":
                return self._date()
            case "%":
                return self._display_string()
            case first if first == "-" or "0" <= first <= "9":
                return self._number()
            case _:
                return Token(self._match(_TOKEN, "a value should stand here")[0])

    def _number(self) -> int | Decimal:
        start = self._at
        found = self._match(_NUMBER, "a number should stand here")
        whole, fraction = found[1], found[2]
        if fraction is None:
            if len(whole) > _INTEGER_DIGITS:
                raise self._error(f"an integer has at most {_INTEGER_DIGITS} digits", start)
            return int(found[0])
        if len(whole) > _DECIMAL_DIGITS[0] or not 1 <= len(fraction) <= _DECIMAL_DIGITS[1]:
            raise self._error("a decimal has at most 12 digits before its point, and 1 to 3 after it", start)
        return Decimal(found[0])

    def _string(self) -> str:
        text = self._match(_STRING, 'a string holds printable ASCII, escapes only " and \\, and ends with a quote')[1]
        return re.sub(r"\\(.)", r"\1", text)

    def _bytes(self) -> bytes:
        start = self._at
        text = self._match(_BYTES, "a byte sequence is base64 between two colons")[1]
        # "parsers SHOULD NOT fail when "=" padding is not present" (§4.2.7)
        padded = text if "=" in text else text + "=" * (-len(text) % 4)
        if len(padded) % 4:
            raise self._error("the base64 of this byte sequence has the wrong length", start)
        try:
            return base64.b64decode(padded)
        except binascii.Error:
            raise self._error("the base64 of this byte sequence has the wrong length", start) from None

    def _boolean(self) -> bool:
        self._at += 1
        if self.take("1"):
            return True
        if self.take("0"):
            return False
        raise self._error("a boolean is ?1 or ?0")

    def _date(self) -> Date:
        start = self._at
        self._at += 1
        seconds = self._number()
        if not isinstance(seconds, int):
            raise self._error("a date is @ and a whole number of seconds", start)
        return Date(seconds)

    def _display_string(self) -> DisplayString:
        start = self._at
        found = self._match(_DISPLAY, 'a display string is %"…" of printable ASCII and %xx in lower case')
        raw = re.sub(r"%(..)", lambda escape: chr(int(escape[1], 16)), found[1]).encode("latin-1")
        try:
            return DisplayString(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise self._error("this display string is not UTF-8", start) from None

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _match(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(expected)
        self._at = found.end()
        return found

    def _error(self, message: str, position: int | None = None) -> StructuredFieldError:
        return StructuredFieldError(message, self._at if position is None else position)
