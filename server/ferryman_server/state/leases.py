"""Which lease is the newest one of each upload, in the one process that writes.

Rules:

- Only the newest lease of an upload may write; a released one may not. A lease that is not in the table is refused.
- A fence is `term * 2**40 + n`: the term is counted up in the database each time it is opened for writing, n with each
  lease granted. So a fence is above every earlier one, also above those of a process that died before it wrote,
  without a read and without a commit.
- The table holds leases weakly: one that its holder has dropped is gone from it, and stays refused.
"""

from dataclasses import dataclass
from itertools import count
from typing import Final
from weakref import WeakValueDictionary

from ferryman_server.state.base import Fenced, Lease

TERM: Final = 1 << 40  # leases in one term; 2**23 terms fit into a signed 64-bit column


@dataclass(frozen=True, kw_only=True, slots=True, weakref_slot=True)
class HeldLease(Lease):
    """A lease that the table can hold weakly."""


class Leases:
    """The table. Used on the event loop only."""

    def __init__(self, term: int) -> None:
        self._fences = count(term * TERM + 1)
        self._newest: WeakValueDictionary[str, HeldLease] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._newest)

    def grant(self, upload_id: str) -> Lease:
        """A lease above every earlier one; earlier leases of this upload are refused from here on."""
        lease = HeldLease(upload_id=upload_id, fence=next(self._fences))
        self._newest[upload_id] = lease
        return lease

    def check(self, lease: Lease) -> None:
        """Return if this lease may write. Raises Fenced."""
        if not self._is_newest(lease):
            raise Fenced(f"upload {lease.upload_id}: a newer request has taken over, or this one has let go")

    def release(self, lease: Lease) -> None:
        """Refuse this lease from here on. An older one changes nothing."""
        if self._is_newest(lease):
            self._newest.pop(lease.upload_id, None)

    def _is_newest(self, lease: Lease) -> bool:
        newest = self._newest.get(lease.upload_id)
        return newest is not None and newest.fence == lease.fence
