"""A proxy on loopback between a client of S3 and a real server, in a thread, that knows what is asked and spoils it.

Everything is passed on as it comes, the Host header too: the client signs for the proxy's address, and the server
checks the signature against the header that it sees. Bodies are never held as a whole. Each connection of a client has
one upstream, made when the first request needs it. A client that goes in the middle of its request is gone upstream as
well; one that goes later is not missed: the request is done, and its answer thrown away.

What is to happen to which requests is said by rules, and what came is in the log:

    with FaultProxy(minio.endpoint) as proxy:
        proxy.on(Operation.UPLOAD_PART, do=Answer(503, "SlowDown"), times=2)
        proxy.on(Operation.COMPLETE, do=ChangeAnswer(500, "InternalError"))
        gate = Hold(When.DONE)
        proxy.on(Operation.UPLOAD_PART, part=3, do=gate)
        ...  # a server on proxy.endpoint is given an upload
        gate.await_reached()  # part 3 is stored, and the server does not know
        server.kill()
        gate.release()
        assert proxy.log.counts()[Operation.UPLOAD_PART] == 5

Beside the rules, the server can be gone or silent for everybody.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests.s3.connection import Connection
from tests.s3.exchange import Exchange
from tests.s3.faults import Tell
from tests.s3.framing import Head
from tests.s3.log import Log, Seen, seen_of
from tests.s3.moments import Fault
from tests.s3.operations import Operation
from tests.s3.rules import KeyFilter, Rule, Rules, fitting
from tests.s3.stream import Stream

HOST: Final = "127.0.0.1"
WAIT: Final = 20.0  # seconds until the proxy's thread has done what it was told
T = TypeVar("T")


class FaultProxy:
    """Passes requests on to `upstream`, given as `http://HOST:PORT`. Use it as a context manager."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("http://").rstrip("/").rpartition(":")
        self._upstream = (host, int(port))
        self.log = Log()
        self._rules = Rules()
        self._reserved = _bound(0)  # keeps the port ours while nobody listens
        self.port: int = self._reserved.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._over = asyncio.Event()
        self._listener: socket.socket | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the proxy did not stop"
        self._reserved.close()
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:PORT`, where S3 is spoken through this proxy."""
        return f"http://{self.address}"

    # -- rules and the log ---------------------------------------------------------------------------------------------

    def on(
        self,
        *operations: Operation,
        do: Fault | Sequence[Fault] = (),
        key: KeyFilter = None,
        part: int | None = None,
        where: Callable[[Seen], bool] = lambda seen: True,
        nth: int = 1,
        times: int | None = 1,
        before: Callable[[Seen], object] | None = None,
        after: Callable[[Seen], object] | None = None,
    ) -> Rule:
        """Arm a rule for requests of these operations (none: all), to be removed by `Rule.remove()`.

        It acts from the `nth` fitting request on, `times` times (None: always). `before` is called, with the log's
        entry, when nothing of the request has gone upstream, `after` when it is done and the client does not know;
        both run in a thread of their own, before the faults in `do`. Of several rules that are due the first acts.
        """
        faults = [do] if isinstance(do, Fault) else list(do)
        calls = [Tell(before, after)] if before or after else []
        return self._rules.arm(fitting(operations, key, part, where), [*calls, *faults], nth=nth, times=times)

    def disarm(self) -> None:
        """Remove every rule."""
        self._rules.clear()

    def clear(self) -> None:
        """Forget what is in the log."""
        self.log.clear()

    # -- everybody -----------------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """The server is gone: every connection is reset, new ones are refused."""
        self._do(self._close)

    def blackhole(self) -> None:
        """The server is silent: connections are taken, nothing moves on any of them."""
        self._do(self._open, False)

    def accept(self) -> None:
        """The server is there again, on the same port; what stood still goes on."""
        self._do(self._open, True)

    def cut_all(self) -> None:
        """Reset every connection there is."""
        self._do(self._cut_all)

    # -- in the proxy's thread -----------------------------------------------------------------------------------------

    def _do(self, what: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        return asyncio.run_coroutine_threadsafe(what(*arguments), self._loop).result(WAIT)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._over.wait()
        await self._close()

    async def _open(self, flowing: bool) -> None:
        (self._flowing.set if flowing else self._flowing.clear)()
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(512)
            self._loop.add_reader(self._listener, self._take, self._listener)

    async def _close(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        await self._cut_all()

    async def _cut_all(self) -> None:
        cut = list(self._connections)
        for connection in cut:
            connection.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    def _take(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._welcome(listener.accept()[0])

    def _welcome(self, client: socket.socket) -> None:
        connection = Connection(Stream(client, self._flowing), self._connect, self._enter)
        task = self._loop.create_task(self._carry(connection))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: client.close())  # it may be cut before it begins

    async def _carry(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception as failure:  # told at the proxy's end: a test is wrong, or its call, or the proxy
            self._failure = self._failure or failure

    async def _connect(self) -> Stream:
        upstream = socket.socket()
        upstream.setblocking(False)
        try:
            await self._loop.sock_connect(upstream, self._upstream)
        except BaseException:
            upstream.close()
            raise
        return Stream(upstream, self._flowing)

    def _enter(self, client: Stream, head: Head) -> Exchange:
        seen = seen_of(head)
        self.log.add(seen)
        return Exchange(client, head, seen, self._rules.judge(seen))


def _bound(port: int) -> socket.socket:
    """A socket on this port, beside another one of ours."""
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((HOST, port))
    return made
