"""An application that pours every body into memory and tells how that went: for tests of the wire and of bodies."""

import json
import queue
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from ferryman_server.body import Body, End
from ferryman_server.receive_body import open_body
from tests.support.serving import answer


@dataclass
class Recorder:
    """A sink that keeps what it is given. A write waits until `go` is set."""

    offset = 0

    go: threading.Event
    pieces: list[bytes] = field(default_factory=list)

    def write(self, piece: memoryview) -> None:
        """Take one piece."""
        assert self.go.wait(20)
        self.pieces.append(bytes(piece))

    @property
    def data(self) -> bytes:
        """Everything so far."""
        return b"".join(self.pieces)


@dataclass(frozen=True)
class Poured:
    """How one body was poured."""

    end: End
    data: bytes
    pieces: list[int]  # sizes
    received: int
    trailers: list[tuple[str, str]]


Prelude = Callable[[Scope, Body], Awaitable[None]]


class Pourer:
    """Pours and answers 200 with a JSON document; the tests wait for `poured()`, in order."""

    def __init__(self, prelude: Prelude | None = None) -> None:
        self.go = threading.Event()  # clear it and writes wait
        self.go.set()
        self.sink = Recorder(self.go)
        self.body: Body | None = None
        self.scope: Scope = {}
        self._prelude = prelude
        self._results: queue.Queue[Poured] = queue.Queue()

    def poured(self) -> Poured:
        """The next body's result; waits for it."""
        return self._results.get(timeout=20)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.scope = scope
        sink = self.sink = Recorder(self.go)
        body = self.body = open_body(scope, receive)
        if self._prelude is not None:
            await self._prelude(scope, body)
        end = await body.pour(sink)
        sizes = [len(piece) for piece in sink.pieces]
        self._results.put(Poured(end, sink.data, sizes, body.received, body.trailers))
        await answer(send, 200, json.dumps({"end": end, "received": body.received}).encode())
