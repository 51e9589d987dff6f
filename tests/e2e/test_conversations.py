"""Every conversation of protocol/vectors/conversations.json, held with a real `ferryman serve` process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.conversation import Conversation, cases
from tests.support.process import Server, serving

Serve = Callable[[tuple[str, ...]], Server]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A running server for each set of flags, the same one for every case that names the same flags."""
    running: dict[tuple[str, ...], Server] = {}
    with ExitStack() as stack:

        def start(flags: tuple[str, ...]) -> Server:
            if flags not in running:
                data = tmp_path_factory.mktemp("conversations") / "data"
                running[flags] = stack.enter_context(serving(data, *flags))
            return running[flags]

        yield start


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases()])
def test_conversation(case: dict[str, Any], serve: Serve) -> None:
    """The server says what the case expects, step by step."""
    server = serve(tuple(case.get("server", ())))
    with Conversation(server.port) as conversation:
        conversation.play(case["steps"])


def test_conversations_have_names_of_their_own_and_name_their_requirements() -> None:
    """A case can be found by its name, and says what it shows."""
    names = [case["name"] for case in cases()]
    assert len(names) == len(set(names))
    assert [case["name"] for case in cases() if not case["requirement"]] == []
