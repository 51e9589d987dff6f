"""A protocol's reply becomes an ASGI answer: its fields in order, and a problem document where something was wrong."""

import json
from typing import Any

from starlette.types import Message

from ferryman_protocol import problems
from ferryman_protocol.model import Reply
from ferryman_protocol.problems import Problem
from ferryman_server.answers import Answer


async def sent(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, fields and body of the answer."""
    messages: list[Any] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("an answer asks for nothing")

    await Answer(reply)({"type": "http"}, receive, send)
    start, body = messages
    assert not body.get("more_body", False)
    return start["status"], start["headers"], body["body"]


async def test_fields_come_in_order_and_may_come_twice() -> None:
    """A status that may carry content says that there is none."""
    reply = Reply(status=201, headers=(("Location", "/files/x"), ("X-A", "gr\xf6\xdfe"), ("X-A", "")))
    fields = [(b"content-length", b"0"), (b"location", b"/files/x"), (b"x-a", b"gr\xf6\xdfe"), (b"x-a", b"")]
    assert await sent(reply) == (201, fields, b"")


async def test_204_says_nothing_about_content() -> None:
    """RFC 9110 §8.6."""
    assert await sent(Reply(status=204, headers=(("Upload-Offset", "5"),))) == (204, [(b"upload-offset", b"5")], b"")


async def test_a_refusal_is_a_problem_document() -> None:
    """In UTF-8, with its length; the dialect's own fields behind it."""
    problem = Problem(kind=problems.NOT_FOUND, detail="no „größe“ here")
    status, fields, body = await sent(Reply(status=404, headers=(("Tus-Resumable", "1.0.0"),), problem=problem))
    assert status == 404
    assert json.loads(body) == problems.document(problem)
    assert fields == [
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/problem+json"),
        (b"tus-resumable", b"1.0.0"),
    ]
