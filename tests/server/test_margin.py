"""When bytes fall due to be made durable: late enough to be few times, early enough that a fast body seldom waits."""

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.margin import Margin

MOST = 8000


class Flow:
    """A body that flows, and syncs that begin when they fall due and end when so much more has come."""

    def __init__(self, ends_at: int | None = None) -> None:
        self.margin = Margin(MOST, 0, ends_at, self._due)
        self.reached = 0
        self.begun: list[int] = []  # where each sync began
        self._under_way: int | None = None

    def come(self, size: int, piece: int = 100) -> None:
        """So many bytes come; nothing may have to wait."""
        for _ in range(0, size, piece):
            assert self._under_way is None or self.reached + piece - self._durable() <= MOST, "it would wait for ever"
            self.margin.before(self.reached, piece)
            self.reached += piece
            self.margin.after(self.reached)

    def end_sync(self) -> None:
        """The sync that is under way ends well."""
        assert self._under_way is not None
        upto, self._under_way = self._under_way, None
        self.margin.durable(upto)

    def _due(self) -> None:
        if self._under_way is None:
            self._under_way = self.reached
            self.begun.append(self.reached)

    def _durable(self) -> int:
        return self.begun[-2] if len(self.begun) > 1 else 0


def strides(syncs_take: int) -> list[int]:
    """How many bytes lie between the beginnings of syncs during each of which so many bytes come."""
    flow = Flow()
    while len(flow.begun) < 30:
        while flow._under_way is None:
            flow.come(100)
        flow.come(syncs_take)
        flow.end_sync()
    return [later - earlier for earlier, later in zip(flow.begun, flow.begun[1:], strict=False)]


@given(syncs_take=st.integers(0, MOST // 2 // 100 - 1).map(lambda pieces: 100 * pieces))
def test_half_is_synced_while_the_other_half_comes(syncs_take: int) -> None:
    """However much comes during a sync, if it is less than half of the room: nothing waits, and no sync is too many."""
    assert all(MOST // 2 <= stride <= MOST // 2 + 100 for stride in strides(syncs_take))


def test_nothing_is_due_in_a_body_that_ends_near() -> None:
    """Its end makes all durable."""
    flow = Flow(ends_at=MOST)
    flow.come(MOST)
    assert flow.begun == []


@given(reached=st.integers(0, 100_000))
def test_who_gives_up_lets_go(reached: int) -> None:
    """For all offsets: nobody waits any more for what will not come."""
    margin = Margin(MOST, 0, None, lambda: None)
    margin.give_up(reached)
    margin.before(reached, MOST)
