"""Which tails of an upload are rubbish: those that its notes do not name.

A tail is replaced when what it holds is in a part, or in a larger tail; its deletion may fail then. A process that is
killed leaves tails that were never committed. Neither is in the notes, and nothing that lies in the bucket already ever
comes into them: a new tail has a key of its own.
"""

from collections.abc import Sequence

from ferryman_server.storage.base import Stray
from ferryman_server.storage.ledger import Entry
from ferryman_server.storage.s3_books import tail_keys


def leftovers(entry: Entry | None, tails: Sequence[Stray]) -> Sequence[Stray]:
    """The tails of this upload that it does not consist of. Those of one without a row have a grace of their own."""
    if entry is None:
        return ()
    used = tail_keys(entry.notes)
    return [tail for tail in tails if tail.place not in used]
