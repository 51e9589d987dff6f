"""A whole archive looked at as the server looks at an uploaded one: walked once, in pieces, and judged."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_set import BadFrames, FrameSet, NotFrames, judge
from ferryman_server.media.tasting import Tastes, both
from ferryman_server.media.zip_bodies import Taste
from ferryman_server.media.zip_errors import BadArchive
from ferryman_server.media.zip_index import Coming, Limits, Walker


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found. A refused archive's entries are those before the one at fault."""

    entries: Sequence[Entry]
    digests: Sequence[str]  # the SHA-256 of each entry's content, in hexadecimal
    refused: BadArchive | None
    frames: FrameSet | NotFrames | BadFrames | None  # None: refused


def look_at(pieces: Iterable[bytes | memoryview], limits: Limits) -> Looked:
    """Walk an archive whose bytes come in these pieces. Raises what the iterable raises."""
    tastes, sums = Tastes(), dict[int, "hashlib._Hash"]()

    def taster(coming: Coming) -> Taste | None:
        digest = sums[coming.number] = hashlib.sha256()
        return both(digest.update, tastes(coming))

    walker = Walker(limits, taster=taster)
    refused = _walk(walker, pieces)
    entries = walker.entries
    digests = [sums[entry.number].hexdigest() for entry in entries]
    if refused is not None:
        return Looked(entries, digests, refused, None)
    sizes = {entry.number: size for entry in entries if (size := tastes.size(entry.number)) is not None}
    return Looked(entries, digests, None, judge(entries, tastes.metadata(entries), sizes))


def _walk(walker: Walker, pieces: Iterable[bytes | memoryview]) -> BadArchive | None:
    try:
        for piece in pieces:
            walker.feed(piece)
        walker.finish()
    except BadArchive as bad:
        return bad
    return None
