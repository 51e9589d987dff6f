"""Part numbers: none is used before the state knows that it is taken, whatever comes in between."""

import threading
import time

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_numbers import AHEAD, Numbers


def never() -> bool:
    """Nobody gives up."""
    return False


class NumbersMachine(RuleBasedStateMachine):
    """One writer, its parts, and commits that come and go; the state, and a process that may find it at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.state = 1
        self.numbers = Numbers(1)
        self.used: set[int] = set()  # by parts that were sent, all processes
        self.flight = 0
        self.pending: int | None = None
        self.committing = False

    @rule()
    def send(self) -> None:
        """A part is handed over, its number is reserved, and it is sent."""
        number = self.numbers.take()
        if self.committing:
            return  # it waits for the commit: a test of its own shows that
        self.numbers.reserve(number, self._write, never)
        assert number not in self.used
        self.used.add(number)
        self.flight += 1

    @rule()
    def arrive(self) -> None:
        """All parts on their way are acknowledged."""
        self.flight = 0

    @precondition(lambda self: not self.committing)
    @rule()
    def begin_commit(self) -> None:
        """What is to be committed is settled."""
        self.pending = self.numbers.to_commit(needed=self.flight > 0)
        self.committing = True

    @precondition(lambda self: self.committing)
    @rule(kept=st.booleans())
    def end_commit(self, kept: bool) -> None:
        """The commit succeeds; or the process dies before."""
        if kept:
            self.state = self.pending if self.pending is not None else self.state
            self.numbers.committed()
        else:
            self.numbers = Numbers(self.state)
            self.flight = 0
        self.committing = False

    @rule()
    def kill(self) -> None:
        """The process dies, and the next one reads the state."""
        self.numbers, self.flight, self.committing = Numbers(self.state), 0, False

    @invariant()
    def used_numbers_are_known(self) -> None:
        """A process that reads the state now takes none of those that were used."""
        assert all(number < self.state for number in self.used)

    def _write(self, free: int) -> None:
        self.state = free


TestNumbers = NumbersMachine.TestCase


def test_some_are_reserved_at_once() -> None:
    """One word to the state is enough for as many parts as are ever on their way."""
    numbers, told = Numbers(5), list[int]()
    for _ in range(AHEAD):
        numbers.reserve(numbers.take(), told.append, never)
    assert told == [5 + AHEAD]


def test_what_was_not_needed_is_free_again() -> None:
    """An orderly end wastes no number; while parts are on their way it might."""
    numbers = Numbers(1)
    numbers.reserve(numbers.take(), lambda free: None, never)
    assert numbers.to_commit(needed=True) == 1 + AHEAD
    numbers.committed()
    assert numbers.to_commit(needed=False) == 2


def test_a_reservation_waits_for_a_commit_under_way() -> None:
    """Or the commit's older word could be the last one."""
    numbers, told = Numbers(1), list[int]()
    numbers.to_commit(needed=False)
    reserving = threading.Thread(target=numbers.reserve, args=(numbers.take(), told.append, never))
    reserving.start()
    time.sleep(0.05)
    assert told == []
    numbers.committed()
    reserving.join(10)
    assert told == [1 + AHEAD]


def test_a_commit_says_nothing_beside_a_reservation_under_way() -> None:
    """The reservation writes the number itself."""
    numbers, said = Numbers(1), list[int | None]()
    numbers.reserve(numbers.take(), lambda free: said.append(numbers.to_commit(needed=False)), never)
    assert said == [None]


def test_a_reservation_that_is_given_up_ends() -> None:
    """A commit that never ends does not hold a closed writer's thread."""
    numbers = Numbers(1)
    numbers.to_commit(needed=False)
    with pytest.raises(StoreError, match="closed"):
        numbers.reserve(1, lambda free: None, lambda: True)
