"""A network that breaks as a test says: a TCP proxy on loopback, in a thread, that cuts and stalls connections.

What is to happen is planned by the number of bytes that have gone upstream, over all connections together: so many are
passed on (a piece more where several connections send at once), then the action is carried out on the connection that
carried the last of them. So an upload that is larger than the last position meets every action, on any machine. Buffers
are small and bounded. Beside the plan, a single connection may have a fate of its own, and all can be cut at once.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Final, Self, TypeAlias

PIECE: Final = 64 << 10  # bytes read at once
MOST: Final = 64  # connections at a time; more are reset
LAST_READS: Final = 1.0  # seconds that a client has to close its side after our FIN


class Cut(Enum):
    """A way to end a connection."""

    RESET = "RST to both sides"
    FIN = "FIN to both sides"


Action: TypeAlias = Cut | Callable[[], None]
"""What to do; a callable runs in a thread of its own, and its connection waits until it returns."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one connection when it has carried so many bytes in one direction."""

    after: int  # bytes; 0: when the first one comes
    then: Cut | float  # a number: seconds for which this direction stands still
    upstream: bool = True  # False: counted on what the server answers


class _Broken(Exception):
    """The plan has cut this connection."""

    def __init__(self, cut: Cut) -> None:
        super().__init__(cut.value)
        self.cut = cut


class Proxy:
    """Passes connections on to a port of this machine. Use it as a context manager."""

    def __init__(self, target: int) -> None:
        self.sent = 0  # bytes passed on upstream
        self.carried_out = 0  # actions of the plan that are over
        self.fulfilled = 0  # fates that connections have met
        self._target = target
        self._plan: list[tuple[int, Action]] = []
        self._fates: dict[int, Fate] = {}  # by the client's port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._over = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the proxy did not stop"
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, where the target is reached through this proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def files(self) -> str:
        """Where uploads are created."""
        return f"{self.url}/files/"

    def at(self, position: int, action: Action) -> None:
        """Plan an action for when `position` bytes have gone upstream. Positions rise."""
        assert position > (self._plan[-1][0] if self._plan else self.sent), "positions rise"
        self._plan.append((position, action))

    def doom(self, client: socket.socket, fate: Fate) -> None:
        """Decide the fate of a client's connection, before anything is sent on it."""
        self._fates[client.getsockname()[1]] = fate

    def cut_all(self) -> None:
        """Reset every connection there is, on both sides."""

        def cut() -> None:
            for connection in self._connections:
                connection.cancel()

        self._loop.call_soon_threadsafe(cut)

    def stall(self) -> None:
        """From now on nothing moves, in either direction."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        """Everything moves again."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._socket, limit=PIECE)
        await self._over.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, from_client: StreamReader, client: StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        port = client.get_extra_info("peername")[1]
        connection.add_done_callback(lambda _: self._fates.pop(port, None))
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):  # the proxy stops; a side has gone
            async with _closing(client):
                assert len(self._connections) <= MOST, "too many connections at a time"
                from_server, server = await asyncio.open_connection("127.0.0.1", self._target, limit=PIECE)
                async with _closing(server):
                    await self._carry(port, from_client, client, from_server, server)

    async def _carry(
        self,
        port: int,
        from_client: StreamReader,
        client: StreamWriter,
        from_server: StreamReader,
        server: StreamWriter,
    ) -> None:
        """Pass everything on until both sides have ended, one has reset the connection, or the plan cuts it."""
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass_on(from_client, server, port, upstream=True))
                ways.create_task(self._pass_on(from_server, client, port, upstream=False))
        except* _Broken as broken:
            if any(isinstance(error, _Broken) and error.cut is Cut.FIN for error in broken.exceptions):
                await _say_goodbye(from_client, client, server)
        except* ConnectionError:
            pass  # told to the other side by the reset that follows

    async def _pass_on(self, source: StreamReader, target: StreamWriter, port: int, *, upstream: bool) -> None:
        target.transport.set_write_buffer_limits(0)  # drained means: the kernel has it
        carried = 0
        while data := await source.read(PIECE):
            while data:
                await self._flowing.wait()
                room = max(0, self._plan[0][0] - self.sent) if upstream and self._plan else len(data)
                room = min(room, await self._until_fate(port, carried, upstream=upstream))
                target.write(data[:room])
                await target.drain()
                carried += len(data[:room])
                if upstream:
                    self.sent += len(data[:room])
                    await self._act()
                data = data[room:]
        with contextlib.suppress(OSError):  # the other side is gone as well
            target.write_eof()

    async def _until_fate(self, port: int, carried: int, *, upstream: bool) -> int:
        """How many bytes this direction carries until its fate; one that is due is carried out."""
        fate = self._fates.get(port)
        if fate is not None and fate.upstream is upstream and carried >= fate.after:
            del self._fates[port]
            self.fulfilled += 1
            if isinstance(fate.then, Cut):
                raise _Broken(fate.then)
            await asyncio.sleep(fate.then)
            fate = None
        return PIECE if fate is None or fate.upstream is not upstream else fate.after - carried

    async def _act(self) -> None:
        """Carry out what is planned for this position."""
        if not self._plan or self._plan[0][0] > self.sent:
            return
        _, action = self._plan.pop(0)
        if isinstance(action, Cut):
            self.carried_out += 1
            raise _Broken(action)
        await asyncio.shield(asyncio.create_task(self._call(action)))  # its own connection may end meanwhile

    async def _call(self, action: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(action)
        except Exception as failure:
            self._failure = failure
        self.carried_out += 1


async def _say_goodbye(from_client: StreamReader, client: StreamWriter, server: StreamWriter) -> None:
    """FIN to both sides; what the client still sends is thrown away until it has read that far."""
    with contextlib.suppress(OSError, TimeoutError):
        server.write_eof()
        client.write_eof()
        async with asyncio.timeout(LAST_READS):
            while await from_client.read(PIECE):
                pass


@contextlib.asynccontextmanager
async def _closing(writer: StreamWriter) -> AsyncIterator[None]:
    """Close with RST at the end; where both sides have said FIN before, that goes unnoticed."""
    try:
        yield
    finally:
        raw = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):  # closed already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
