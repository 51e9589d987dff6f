"""Writing structured fields: the algorithms of RFC 9651 §4.1.

Every value is checked as it is written, so nothing leaves that a strict parser would refuse. An empty List or
Dictionary is written as an empty text: leave the field out then (§4.1).
"""

import base64
import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from ferryman_protocol.structured_values import (
    KEY_PATTERN,
    MAX_INTEGER,
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

_KEY: Final = re.compile(KEY_PATTERN)
_TOKEN: Final = re.compile(TOKEN_PATTERN)
_STRING: Final = re.compile(r"[ -~]*+")
_DECIMAL_LIMIT: Final = 10**12  # §4.1.5: at most 12 digits before the point
_THOUSANDTH: Final = Decimal("0.001")


def serialise_item(item: Item) -> str:
    """Write an Item. Raises StructuredFieldError for a value that has no form in RFC 9651."""
    return _bare_item(item.value) + _parameters(item.parameters)


def serialise_list(members: Iterable[Member]) -> str:
    """Write a List. Raises StructuredFieldError for a value that has no form in RFC 9651."""
    return ", ".join(_member(member) for member in members)


def serialise_dictionary(members: Mapping[str, Member]) -> str:
    """Write a Dictionary, in order. Raises StructuredFieldError for a key or value that has no form in RFC 9651."""
    return ", ".join(_key(key) + _dictionary_value(member) for key, member in members.items())


def _dictionary_value(member: Member) -> str:
    # "If the value of member is Boolean true", only its parameters are written (§4.1.2).
    if isinstance(member, Item) and member.value is True:
        return _parameters(member.parameters)
    return "=" + _member(member)


def _member(member: Member) -> str:
    if isinstance(member, InnerList):
        return "(" + " ".join(serialise_item(item) for item in member.items) + ")" + _parameters(member.parameters)
    return serialise_item(member)


def _parameters(parameters: Parameters) -> str:
    return "".join(
        ";" + _key(key) + ("" if value is True else "=" + _bare_item(value)) for key, value in parameters.items()
    )


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise StructuredFieldError(f"{key!r} is not a key: lower-case letters, digits, _ - . * after a letter or *")
    return key


def _bare_item(value: BareItem) -> str:
    match value:
        case bool():  # before int: bool is a kind of int in Python
            return "?1" if value else "?0"
        case int():
            return _integer(value)
        case Decimal():
            return _decimal(value)
        case str():
            return _string(value)
        case bytes():
            return f":{base64.b64encode(value).decode('ascii')}:"
        case Token():
            return _token(value)
        case Date():
            return "@" + _integer(value.seconds)
        case DisplayString():
            return _display_string(value)


def _integer(value: int) -> str:
    if abs(value) > MAX_INTEGER:
        raise StructuredFieldError(f"{value} has more than the 15 digits an integer may have")
    return str(value)


def _decimal(value: Decimal) -> str:
    rounded = value.quantize(_THOUSANDTH, ROUND_HALF_EVEN) if _in_range(value) else value
    if not _in_range(rounded):
        raise StructuredFieldError(f"{value} has more than the 12 digits a decimal may have before its point")
    text = f"{abs(rounded):f}".rstrip("0")
    # "If input_decimal is less than (but not equal to) 0, append "-"" (§4.1.5)
    return ("-" if rounded < 0 else "") + text + ("0" if text.endswith(".") else "")


def _in_range(value: Decimal) -> bool:
    return value.is_finite() and abs(value) < _DECIMAL_LIMIT


def _string(value: str) -> str:
    if not _STRING.fullmatch(value):
        raise StructuredFieldError(f"{value!r} is not printable ASCII: write it as a DisplayString")
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _token(value: Token) -> str:
    if not _TOKEN.fullmatch(value.text):
        raise StructuredFieldError(f"{value.text!r} is not a token: write it as a string")
    return value.text


def _display_string(value: DisplayString) -> str:
    try:
        raw = value.text.encode("utf-8")
    except UnicodeEncodeError:
        raise StructuredFieldError(f"{value.text!r} holds a lone surrogate, which UTF-8 cannot write") from None
    plain = (chr(byte) if 0x20 <= byte < 0x7F and byte not in b'%"' else f"%{byte:02x}" for byte in raw)
    return '%"' + "".join(plain) + '"'
