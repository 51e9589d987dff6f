"""Upload ids: 128 random bits in lower-case base32, 26 characters of `[a-z2-7]`.

Unguessable (R26: upload URLs SHOULD be), safe in a path, an object key and a file name on every system, and the same
in upper and lower case. The core makes no randomness: the caller hands it in.
"""

import re
from typing import Final

from ferryman_protocol.model import ID_PATTERN

ENTROPY_BYTES: Final = 16

_ID: Final = re.compile(ID_PATTERN)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 §6, in lower case
_PAIRS: Final = [first + second for first in _LETTERS for second in _LETTERS]  # two letters are ten bits
_SHIFTS: Final = range(120, -1, -10)


def new_id(entropy: bytes) -> str:
    """The id made of exactly 16 bytes, which must come from the system's secure source. Raises ValueError."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"an id is made of {ENTROPY_BYTES} random bytes, not of {len(entropy)}")
    bits = int.from_bytes(entropy, "big") << 2  # 130 of them: 26 letters of five
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id; anything else (dots, slashes, NUL, other lengths) names no upload."""
    return _ID.fullmatch(text) is not None
