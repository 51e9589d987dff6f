"""tus `Upload-Metadata`: what a client says about a file, in pairs of a key and a Base64 value.

"The Upload-Metadata request and response header MUST consist of one or more comma-separated key-value pairs. The key
and value MUST be separated by a space. The key MUST NOT contain spaces and commas and MUST NOT be empty. The key
SHOULD be ASCII encoded and the value MUST be Base64 encoded. All keys MUST be unique. The value MAY be empty. In these
cases, the space, which would normally separate the key and the value, MAY be left out." (tus 1.0.0, Creation)

Stricter than that: keys are visible ASCII. Milder, on purpose: an empty header means no metadata, since a shipped
client sends it. White space around a comma is refused: `a YQ==, Yg==` may mean an empty key or a key `Yg==`.
Values are bytes and need not be UTF-8; whoever echoes the header sends back what came.
"""

import re
from typing import Final

from ferryman_protocol import strict_base64
from ferryman_protocol.frozen import dataclass
from ferryman_protocol.refusals import quoted

_KEY: Final = re.compile(r"[!-+\--~]+")  # visible ASCII without the comma


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The pairs of one upload, in the order they came."""

    values: dict[str, bytes]

    def text(self, *keys: str) -> str | None:
        """The value of the first of these keys that is there, as UTF-8 (what is not becomes U+FFFD); else None.

        The text is the client's: make it safe before it names a file or enters a header.
        """
        for key in keys:
            if key in self.values:
                return self.values[key].decode("utf-8", errors="replace")
        return None


def parse_metadata(value: str) -> Metadata:
    """Read the header's value. Raises ValueError naming the pair (counted from 1) or the key that is wrong."""
    values: dict[str, bytes] = {}
    if not value:
        return Metadata(values=values)
    for position, pair in enumerate(value.split(","), start=1):
        key, _, encoded = pair.partition(" ")
        if not _KEY.fullmatch(key):
            raise ValueError(f"Upload-Metadata: the key of pair {position} is {_fault(key)}")
        if key in values:
            raise ValueError(f"Upload-Metadata: the key {quoted(key)} comes twice, again in pair {position}")
        try:
            values[key] = strict_base64.decode(encoded)
        except ValueError as error:
            raise ValueError(f"Upload-Metadata: the value of {quoted(key)}: {error}") from None
    return Metadata(values=values)


def _fault(key: str) -> str:
    if key:
        return f"{quoted(key)}: use visible ASCII characters only"
    return "empty: write `key base64`, with no space after a comma"
