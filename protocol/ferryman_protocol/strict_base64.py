"""Base64 as RFC 4648 §4 defines it and nothing else: one text for each value.

Python's decoder lets several texts through for the same bytes (set bits in the unused part of the last character,
and, unless told otherwise, characters from outside the alphabet). Two parties that read such a text differently
disagree about what was sent, so it is refused here.
"""

import base64
import binascii
import re
from typing import Final

_JUNK: Final = re.compile(r"[^A-Za-z0-9+/=]")


def decode(text: str) -> bytes:
    """The bytes that `text` stands for; an empty text stands for none. Raises ValueError saying what is wrong."""
    junk = _JUNK.search(text)
    if junk:
        raise ValueError(f"{junk[0]!r} at its character {junk.start()} is not in the base64 alphabet")
    if len(text) % 4:
        raise ValueError(f"base64 comes in groups of 4 characters, padded with =; this has {len(text)}")
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("the padding of this base64 is misplaced") from None
    if base64.b64encode(value).decode("ascii") != text:
        # "These pad bits MUST be set to zero by conforming encoders" (RFC 4648 §3.5)
        raise ValueError("the last character of this base64 has unused bits that are not zero, or its padding is wrong")
    return value
