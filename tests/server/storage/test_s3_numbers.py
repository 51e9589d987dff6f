"""Part numbers: none is used before the state knows that it is taken, whatever comes in between."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ferryman_server.storage import s3_numbers
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_numbers import AHEAD, Numbers, Unused

ID = "upload"


class NumbersMachine(RuleBasedStateMachine):
    """The writers of one upload, one after the other in two processes, and the state that both read."""

    def __init__(self) -> None:
        super().__init__()
        self.state = 1
        self.used: set[int] = set()  # by parts that were sent, all processes
        self.processes = [Unused(), Unused()]
        self.process = 0
        self.numbers = Numbers(1)

    @rule()
    def send(self) -> None:
        """A part is handed over, its number is reserved, and it is sent."""
        number = self.numbers.take()
        self.numbers.reserve(number, self._write)
        assert number not in self.used
        self.used.add(number)

    @rule()
    def take(self) -> None:
        """A part is handed over, and comes to nothing."""
        self.numbers.take()

    @rule(known=st.booleans())
    def fail(self, known: bool) -> None:
        """The state does not answer to a reservation; it may have taken it."""

        def write(free: int) -> None:
            self.state = free if known else self.state
            raise StoreError("the state does not answer")

        number = self.numbers.take()
        if number >= self.numbers.reserved:
            with pytest.raises(StoreError):
                self.numbers.reserve(number, write)

    @rule(process=st.sampled_from([0, 1]))
    def go_on(self, process: int) -> None:
        """The writer ends, and the next one opens, here or in the other process."""
        self.processes[self.process].keep(ID, self.numbers)
        self.process = process
        self.numbers = self.processes[process].numbers(ID, self.state)

    @rule(process=st.sampled_from([0, 1]))
    def kill(self, process: int) -> None:
        """The process dies; the next writer opens in a new one, or in the other."""
        self.processes[self.process] = Unused()
        self.process = process
        self.numbers = self.processes[process].numbers(ID, self.state)

    @invariant()
    def used_numbers_are_known(self) -> None:
        """A process that reads the state now takes none of those that were used."""
        assert all(number < self.state for number in self.used)

    def _write(self, free: int) -> None:
        self.state = free


TestNumbers = NumbersMachine.TestCase


def test_some_are_reserved_at_once() -> None:
    """One word to the state is enough for some parts."""
    numbers, told = Numbers(5), list[int]()
    for _ in range(AHEAD):
        numbers.reserve(numbers.take(), told.append)
    assert told == [5 + AHEAD]


def test_what_was_not_used_is_for_the_next_writer_of_the_process() -> None:
    """It says nothing to the state before all of it is used."""
    unused, told = Unused(), [1]
    for _ in range(AHEAD):
        numbers = unused.numbers(ID, told[-1])
        numbers.reserve(numbers.take(), told.append)
        unused.keep(ID, numbers)
    assert told == [1, 1 + AHEAD]
    assert numbers.next == 1 + AHEAD


def test_it_is_for_one_writer() -> None:
    """Another one that opens meanwhile takes what nobody knows of."""
    unused = Unused()
    unused.keep(ID, Numbers(9, 2))
    assert unused.numbers(ID, 9).next == 2
    assert unused.numbers(ID, 9).next == 9


def test_nothing_is_taken_that_somebody_else_may_have_taken() -> None:
    """The state says more than when the numbers were kept: another process has reserved some."""
    unused = Unused()
    unused.keep(ID, Numbers(9, 2))
    assert unused.numbers(ID, 17).next == 17


def test_a_writer_that_has_used_all_leaves_nothing() -> None:
    """Nor does what an older one had left stay."""
    unused = Unused()
    unused.keep(ID, Numbers(9, 2))
    unused.keep(ID, Numbers(9, 9))
    assert unused.numbers(ID, 9).next == 9


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first; its upload goes on above what is reserved."""
    monkeypatch.setattr(s3_numbers, "MOST", 2)
    unused = Unused()
    for upload_id in "abc":
        unused.keep(upload_id, Numbers(9, 2))
    assert [unused.numbers(upload_id, 9).next for upload_id in "abc"] == [9, 2, 2]
