"""Which bodies wait for each other."""

import asyncio
from contextlib import ExitStack

import pytest

from ferryman_server import pacing
from ferryman_server.pacing import Work


def _let_in(work: Work, count: int) -> int:
    """How many of so many bodies are let in at once."""
    with ExitStack() as stack:
        return sum(turn.done() for turn in [stack.enter_context(pacing.line(work).place()) for _ in range(count)])


@pytest.mark.parametrize(
    ("bodies", "work", "let_in"),
    [
        (pacing.FEW, "hand-over", 99),
        (pacing.FEW, "settlement", 99),
        (pacing.FEW, "flow", pacing.AT_ONCE["flow"]),
        (pacing.FEW + 1, "hand-over", pacing.AT_ONCE["hand-over"]),
        (pacing.FEW + 1, "checkpoint", pacing.AT_ONCE["checkpoint"]),
        (pacing.FEW + 1, "flow", pacing.AT_ONCE["flow"]),
    ],
)
async def test_among_a_few_bodies_only_fast_ones_wait(
    monkeypatch: pytest.MonkeyPatch, bodies: int, work: Work, let_in: int
) -> None:
    """Beyond them, so many at once."""
    monkeypatch.setattr(pacing, "_pouring", bodies)
    assert _let_in(work, 99) == let_in


async def test_a_turn_that_is_over_is_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come."""
    monkeypatch.setattr(pacing, "_pouring", pacing.FEW + 1)
    at_once: list[int] = []
    working = 0

    async def work() -> None:
        nonlocal working
        async with pacing.turn("checkpoint"):
            working += 1
            at_once.append(working)
            await asyncio.sleep(0)
            working -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert (len(at_once), max(at_once)) == (50, pacing.AT_ONCE["checkpoint"])
