"""The table of leases."""

import pytest

from ferryman_server.state.base import Fenced, Lease
from ferryman_server.state.leases import TERM, Leases


def test_fences_rise_through_uploads_and_terms() -> None:
    """Every lease is above every earlier one, those of earlier terms included."""
    leases, later = Leases(1), Leases(2)
    fences = [leases.grant(upload_id).fence for upload_id in ("a", "b", "a")] + [later.grant("a").fence]
    assert fences == sorted(set(fences))
    assert fences[-1] > 2 * TERM


def test_only_the_newest_lease_passes() -> None:
    """A take-over refuses the older holder and nobody else."""
    leases = Leases(1)
    older, other = leases.grant("a"), leases.grant("b")
    newer = leases.grant("a")
    leases.check(newer)
    leases.check(other)
    with pytest.raises(Fenced, match="a newer request"):
        leases.check(older)


def test_lease_that_was_never_granted_is_refused() -> None:
    """A fence from elsewhere, however high, is no right to write."""
    with pytest.raises(Fenced):
        Leases(1).check(Lease(upload_id="a", fence=1 << 60))


def test_older_lease_stays_refused_after_the_newer_is_dropped() -> None:
    """Nobody gets the right to write back because its successor vanished."""
    leases = Leases(1)
    older = leases.grant("a")
    leases.grant("a")
    assert len(leases) == 0
    with pytest.raises(Fenced):
        leases.check(older)


def test_table_does_not_grow_with_leases_that_are_over() -> None:
    """Ten thousand leases, half released and half dropped, leave an empty table."""
    leases = Leases(1)
    released = [leases.grant(f"released-{number}") for number in range(5000)]
    dropped = [leases.grant(f"dropped-{number}") for number in range(5000)]
    assert len(leases) == 10_000
    for lease in released:
        leases.release(lease)
    dropped.clear()
    assert len(leases) == 0
    assert len(released) == 5000
