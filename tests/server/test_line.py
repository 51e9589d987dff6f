"""Turns at what only so many do at once."""

import asyncio
from contextlib import ExitStack

import pytest

from ferryman_server.line import Line


async def test_so_many_are_let_in_and_the_others_in_their_order() -> None:
    """Each turn that ends lets the next one in."""
    line = Line(2)
    stacks = [ExitStack() for _ in range(5)]
    turns = [stack.enter_context(line.place()) for stack in stacks]
    let_in = [[turn.done() for turn in turns]]
    for stack in stacks:
        stack.close()
        let_in.append([turn.done() for turn in turns])
    assert let_in == [[number < 2 + ended for number in range(5)] for ended in range(6)]
    assert all([await turn for turn in turns])


@pytest.mark.parametrize("how", ["sent away", "cancelled"])
async def test_who_leaves_the_line_holds_nobody_up(how: str) -> None:
    """Its place is given up while it waits, and its turn is the next one's."""
    line = Line(1)
    first, left, last = ExitStack(), ExitStack(), ExitStack()
    first.enter_context(line.place())
    waiting, behind = left.enter_context(line.place()), last.enter_context(line.place())
    if how == "sent away":
        waiting.set_result(False)
    left.close()
    assert not behind.done()
    first.close()
    assert await behind
    last.close()
    with line.place() as turn:
        assert turn.done()


async def _wait_in(line: Line) -> None:
    with line.place() as turn:
        await turn


@pytest.mark.parametrize("count", [1, 3])
async def test_a_task_cancelled_at_its_turn_gives_it_back(count: int) -> None:
    """Its turn had come, and it was cancelled before it went on: the line is as free as before."""
    line = Line(1)
    for _ in range(count):
        with line.place():
            task = asyncio.create_task(_wait_in(line))
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    with line.place() as turn:
        assert turn.done()
