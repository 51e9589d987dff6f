"""The budget: it is never exceeded, and it frees itself whatever clients do."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from ferryman_server.storage.s3_memory import FIRST, SLICE, SMALL, STILL, GivenUp, Memory
from ferryman_server.storage.s3_run import Run
from ferryman_server.storage.s3_slices import KEPT, Slices

TOTAL = 8 * SMALL
PART = 3 * SMALL


@dataclass(eq=False)
class Filler:
    """An upload that fills parts; `sent` are parts and tails on their way, each with the memory it holds."""

    memory: Memory
    slices: Slices
    clock: list[float]
    run: Run = field(init=False)
    sent: list[tuple[Run, bool]] = field(default_factory=list)
    last_moved: float = 0.0

    def __post_init__(self) -> None:
        self.run = Run(0, self.slices)

    @property
    def spillable(self) -> int:
        """All that its run has taken."""
        return self.run.taken if self.run.size else 0

    def spill(self) -> int:
        """What is in memory goes off."""
        return self._send(spilt=True)

    def fill(self, *, flows: bool) -> bool:
        """Its client brings bytes for one more slice; False: there is no memory for them now."""
        wanted = self.run.wanted(PART, flows=flows)
        if wanted:
            try:
                self.memory.take(wanted, lambda: True)
            except GivenUp:
                return False
            self.run.taken += wanted
        self.run.grow()
        space = self.run.space()
        assert space is not None
        self.run.advance(min(len(space), PART - self.run.size))
        self.last_moved = self.clock[0]
        if self.run.size == PART:
            self._send(spilt=False)
        return True

    def arrive(self) -> None:
        """The oldest of what is on its way is in the store."""
        run, spilt = self.sent.pop(0)
        self.memory.give(run.free(), spilt=spilt)

    def _send(self, *, spilt: bool) -> int:
        run, self.run = self.run, Run(self.run.stop, self.slices)
        self.sent.append((run, spilt))
        return run.taken


class BudgetMachine(RuleBasedStateMachine):
    """Clients that bring bytes or stand still, and a store that takes its time."""

    fillers: Bundle[Filler] = Bundle("fillers")

    def __init__(self) -> None:
        super().__init__()
        self.clock = [0.0]
        self.memory = Memory(TOTAL, low=PART, clock=lambda: self.clock[0])
        self.slices = Slices(self.memory)
        self.all: list[Filler] = []

    @rule(target=fillers)
    def come(self) -> Filler:
        """One more upload."""
        filler = Filler(self.memory, self.slices, self.clock)
        self.memory.enter(filler)
        self.all.append(filler)
        return filler

    @rule(filler=fillers, slices=st.integers(1, 12), flows=st.booleans())
    def bring(self, filler: Filler, slices: int, flows: bool) -> None:
        """A client brings bytes, as many as there is memory for, in a flow or little by little."""
        for _ in range(slices):
            if not filler.fill(flows=flows):
                break

    @rule(filler=fillers)
    def arrive(self, filler: Filler) -> None:
        """The store takes something."""
        if filler.sent:
            filler.arrive()

    @rule(seconds=st.sampled_from([0.1, STILL, 2 * STILL]))
    def wait(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.clock[0] += seconds

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        """What is free and what is held make up the whole."""
        held = sum(run.taken for run in self._runs())
        assert self.memory.free + held == TOTAL
        assert self.memory.free >= 0

    @invariant()
    def no_more_is_mapped_than_there_is(self) -> None:
        """What is kept for the next part is not beside the budget."""
        assert self.slices.kept + sum(len(piece) for run in self._runs() for piece in run._slices) <= TOTAL

    @invariant()
    def whoever_waits_gets_memory(self) -> None:
        """Without any client's help: when all stand still and one wants memory, something is on its way, or is sent."""
        if self.memory.free >= PART:
            return
        before = self.clock[0]
        self.clock[0] += 2 * STILL
        with pytest.raises(GivenUp):
            self.memory.take(PART, lambda: True)
        assert any(filler.sent for filler in self.all)
        self.clock[0] = before

    def _runs(self) -> Iterator[Run]:
        for filler in self.all:
            yield filler.run
            yield from (run for run, _ in filler.sent)


TestBudget = BudgetMachine.TestCase


def test_little_is_kept_while_nobody_fills_anything() -> None:
    """What a busy time has taken is given back to the machine after it."""
    memory = Memory(64 << 20, low=0)
    slices = Slices(memory)
    run = Run(0, slices)
    memory.take(memory.total, lambda: False)
    run.taken = memory.total
    for _ in range(memory.total // SLICE):
        run.grow()
    memory.give(run.free())
    assert slices.kept == memory.total
    slices.rest()
    assert slices.kept == KEPT


def test_slow_uploads_take_little() -> None:
    """The first bytes of an upload take one small slice, unless they flow."""
    run = Run(0, Slices(Memory(TOTAL, low=0)))
    assert run.wanted(PART, flows=False) == FIRST
    assert run.wanted(PART, flows=True) == PART


def test_whoever_waits_goes_on_when_memory_is_given() -> None:
    """A thread that waits for memory has it as soon as enough is there."""
    memory = Memory(TOTAL, low=0)
    memory.take(TOTAL, lambda: False)
    waiting = threading.Thread(target=memory.take, args=(SMALL, lambda: False))
    waiting.start()
    while not memory.waiting:
        pass
    memory.give(SMALL)
    waiting.join(10)
    assert memory.free == 0


def test_waiting_ends_when_it_is_given_up() -> None:
    """A writer that is closed does not wait on."""
    memory = Memory(TOTAL, low=0)
    memory.take(TOTAL, lambda: False)
    with pytest.raises(GivenUp):
        memory.take(1, lambda: True)
