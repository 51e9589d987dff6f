"""Plays the conversations of protocol/vectors/conversations.json against a live server.

The file's own "about" describes its steps. Every request has a connection of its own; what must hold for every answer
(Tus-Resumable, a whole problem document behind every refusal) is checked on each of them, whatever the case expects.
"""

import base64
import contextlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.raw_http import RawClient, RawResponse, chunked, head

FILE: Final = Path(__file__).parents[2] / "protocol" / "vectors" / "conversations.json"
TIMEOUT: Final = 20.0  # seconds for each read; a step that says `within` has its own
PATTERN: Final = bytes(range(251))  # byte i of a {"bytes": N} body is i % 251
PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_MEMBERS: Final = ("type", "title", "status", "detail", "remedy")


class Mistake(AssertionError):
    """The server's answer is not what the case expects."""


def cases() -> list[dict[str, Any]]:
    """Every conversation of the file."""
    document: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text("utf-8"))
    return document["cases"]


def pattern(size: int, start: int = 0) -> bytes:
    """`size` bytes of the endless pattern, from its byte `start` on."""
    first = start % len(PATTERN)
    return (PATTERN * (size // len(PATTERN) + 2))[first : first + size]


def body_of(spec: Mapping[str, Any]) -> bytes:
    """The bytes that {"bytes": N, "from": M}, {"text": …} or {"base64": …} stands for."""
    if "text" in spec:
        return str(spec["text"]).encode()
    if "base64" in spec:
        return base64.b64decode(spec["base64"], validate=True)
    return pattern(spec["bytes"], spec.get("from", 0))


def check_problem(answer: RawResponse, code: str | None = None) -> dict[str, Any]:
    """The answer's problem document, which must be whole (and have this code)."""
    media_type = answer.headers.get("content-type")
    _require(media_type == PROBLEM_TYPE, f"{answer.status} came with the type {media_type} instead of {PROBLEM_TYPE}")
    document: dict[str, Any] = answer.document
    missing = [member for member in PROBLEM_MEMBERS if not document.get(member)]
    _require(not missing, f"the problem document has no {', '.join(missing)}: {document}")
    _require(document["status"] == answer.status, f"the document's status is {document['status']}, not {answer.status}")
    told = re.split("[#:]", document["type"])[-1]
    _require(code in (None, told), f"the problem is {told}, not {code}: {document['detail']}")
    return document


@dataclass
class _Exchange:
    """A request that is on its way, and the answers to it so far."""

    client: RawClient
    method: str
    tus: bool  # the request carried Tus-Resumable
    remainder: bytes
    answers: list[RawResponse] = field(default_factory=list)

    def next_answer(self) -> RawResponse:
        answer = self.client.response(to_head=self.method == "HEAD")
        self.answers.append(answer)
        return answer

    def final(self) -> RawResponse:
        while not self.answers or self.answers[-1].status < 200:
            self.next_answer()
        return self.answers[-1]


class Conversation:
    """One run of one case. Use it as a context manager: it closes every connection that the case left open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._names: dict[str, str] = {}
        self._open: dict[str, _Exchange] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Take the steps in order. Raises Mistake with the number of the step (counted from 1) that went wrong."""
        for number, step in enumerate(steps, 1):
            try:
                self._take(step)
            except (Mistake, OSError) as error:
                raise Mistake(f"step {number}, {json.dumps(step)}: {error}") from error

    def _take(self, step: Mapping[str, Any]) -> None:
        if "wait" in step:
            time.sleep(step["wait"])
        elif "send" in step:
            self._send_step(step)
        elif "rest" in step:
            exchange = self._open[step["rest"]]
            exchange.client.send(exchange.remainder)
        elif "cut" in step:
            _cut(self._open.pop(step["cut"]).client, step["how"])
        elif "until" in step:
            exchange = self._open[step["until"]]
            while (answer := exchange.next_answer()).status != step["status"]:
                _require(answer.status < 200, f"{answer.status} came before {step['status']}: {answer.body!r}")
            self._judge(answer, step)
        else:
            exchange = self._open.pop(step["await"])
            self._judge_all(exchange, step)
            exchange.client.socket.close()

    def _send_step(self, step: Mapping[str, Any]) -> None:
        send = step["send"]
        deadline = time.monotonic() + step.get("within", 0)
        while True:
            with contextlib.ExitStack() as connection:
                exchange = self._request(send, connection)
                if "as" in send:
                    self._open[send["as"]] = exchange
                    self._stack.push(connection.pop_all())
                    return
                try:
                    self._judge_all(exchange, step)
                    return
                except Mistake:
                    if time.monotonic() >= deadline:
                        raise
            time.sleep(0.02)

    def _request(self, send: Mapping[str, Any], connection: contextlib.ExitStack) -> _Exchange:
        fields = [f"{name}: {self._filled(value)}" for name, value in send.get("headers", [])]
        content = body_of(send["body"]) if "body" in send else b""
        if send.get("chunked"):
            trailers = tuple(f"{name}: {value}" for name, value in send.get("trailers", []))
            fields.append("Transfer-Encoding: chunked")
            content = chunked(*([content] if content else []), trailers=trailers)
        elif "body" in send:
            fields.append(f"Content-Length: {len(content)}")
        now = send.get("only", len(content))
        client = connection.enter_context(RawClient(self._port, timeout=TIMEOUT))
        client.send(head(send["method"], self._filled(send["target"]), *fields), content[:now])
        tus = any(name.lower() == "tus-resumable" for name, _ in send.get("headers", []))
        return _Exchange(client, send["method"], tus and send["method"] != "OPTIONS", content[now:])

    def _judge_all(self, exchange: _Exchange, step: Mapping[str, Any]) -> None:
        answer = exchange.final()
        _check_always(answer, exchange)
        self._judge(answer, step)
        interim = step.get("expect", {}).get("interim")
        if interim is None:
            return
        came = exchange.answers[:-1]
        _require(len(came) == len(interim), f"the interim answers were {[each.status for each in came]}")
        for each, expected in zip(came, interim, strict=True):
            self._judge(each, {"expect": expected})

    def _judge(self, answer: RawResponse, step: Mapping[str, Any]) -> None:
        expect = step.get("expect", {})
        statuses = expect.get("status", answer.status)
        allowed = statuses if isinstance(statuses, list) else [statuses]
        _require(
            answer.status in allowed, f"{answer.status} came, not {statuses}: {answer.headers} {answer.body[:500]!r}"
        )
        for name, value in expect.get("headers", {}).items():
            self._check_field(name, answer.headers.get(name), value)
        for name in expect.get("absent", []):
            _require(name not in answer.headers, f"{name} came with the value {answer.headers.get(name)!r}")
        if "problem" in expect:
            document = check_problem(answer, expect["problem"])
            for name, value in expect.get("members", {}).items():
                _require(document.get(name) == value, f"the member {name} is {document.get(name)!r}, not {value!r}")
        if "body" in expect:
            _require(answer.body == body_of(expect["body"]), f"the body is another one: {answer.body[:100]!r}")
        for name, source in step.get("save", {}).items():
            _require(source in answer.headers, f"there is no {source} to save")
            self._names[name] = answer.headers[source]

    def _check_field(self, name: str, value: str | None, expected: str | Mapping[str, str]) -> None:
        if isinstance(expected, str):
            _require(value == self._filled(expected), f"{name} is {value!r}, not {self._filled(expected)!r}")
        else:
            right = value is not None and re.search(expected["matches"], value)
            _require(bool(right), f"{name} is {value!r}, which does not match {expected['matches']}")

    def _filled(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda name: self._names[name[1]], text)


def _cut(client: RawClient, how: str) -> None:
    if how == "rst":
        client.reset()
    else:
        client.socket.close()


def _check_always(answer: RawResponse, exchange: _Exchange) -> None:
    _require(answer.status != 500, f"the server made a mistake: {answer.body[:500]!r}")
    if answer.status >= 400 and exchange.method != "HEAD":
        check_problem(answer)
    if exchange.tus:
        # T1: "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
        version = answer.headers.get("tus-resumable")
        _require(version == "1.0.0", f"Tus-Resumable is {version!r} in the answer {answer.status}")


def _require(right: bool, message: str) -> None:
    if not right:
        raise Mistake(message)
