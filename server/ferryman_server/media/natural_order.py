"""Names in the order in which people count: frame2 before frame10.

Runs of the ASCII digits compare as numbers, everything else by code point. Digits of other scripts are letters here:
no tool numbers frames with them, and some, like the superscript two, are no decimal digits at all. Names that differ
only in leading zeros compare by their text, so no two different names are equal.
"""

import re
from typing import Final

_DIGITS: Final = re.compile(r"[0-9]+")


def natural_key(name: str) -> tuple[str, str]:
    """What to sort names by."""
    return _DIGITS.sub(_comparable, name), name


def _comparable(run: re.Match[str]) -> str:
    """Its length goes before it, since of two numbers the longer is the larger, and the length of the length before
    that. All begin with a zero: among other characters a number stands where digits do."""
    digits = run[0].lstrip("0")
    length = str(len(digits))
    return f"0{len(length)}{length}{digits}"
