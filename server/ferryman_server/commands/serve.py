"""`ferryman serve`: the upload server.

One process on one port. It says on standard output where it listens once it can take requests, and on SIGTERM or
Ctrl-C stops taking new ones, makes the transfers in flight durable, answers them, and goes.
"""

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn

from ferryman_server import crowding, descriptors, logs
from ferryman_server.app import Application, create_app
from ferryman_server.commands.base import FINE, CannotRun, Command
from ferryman_server.garbage import collect_when_quiet, tune_gc
from ferryman_server.malloc import tune_malloc
from ferryman_server.settings import Settings
from ferryman_server.wire import protocol_class

log = structlog.get_logger("ferryman.serve")


class Serve(Command):
    """The command."""

    name = "serve"
    help = "take uploads: tus 1.0 and the IETF protocol, at /files/"

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Serve until told to stop. Raises CannotRun, StateError and StoreError when it cannot start."""
        logs.configure(settings)
        tune_malloc()
        room = _make_room()
        with _listen(settings) as listener:
            application = create_app(settings)
            server = _Server(_config(settings, application, room), application)
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(_run(application, server, listener))
        return FINE


command = Serve()


class _Server(uvicorn.Server):
    """uvicorn's server: says where it listens, and leaves it to us to end the process after a signal."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            url = _url(listener)
            print(f"Ferryman listens on {url} - uploads go to {url}files/", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and wait for the requests under way, but not for those that have no end."""
        self._application.stopping()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on SIGTERM and Ctrl-C. uvicorn would raise the signal again before the state is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def _run(application: Application, server: uvicorn.Server, listener: socket.socket) -> None:
    async with application.running():
        tune_gc()
        collector = asyncio.create_task(collect_when_quiet(lambda: len(server.server_state.connections)))
        try:
            await server.serve(sockets=[listener])
        finally:
            collector.cancel()


def _make_room() -> descriptors.Room:
    before, limit = descriptors.raise_limit()
    log.info(
        "files and sockets that may be open at once",
        limit=limit,
        raised_from=before if before < limit else None,
        uploads=descriptors.uploads_for(limit),
    )
    return descriptors.room_for(limit)


def _config(settings: Settings, app: Application, room: descriptors.Room) -> uvicorn.Config:
    protocol = protocol_class(
        idle_timeout=settings.body_timeout,
        min_rate=settings.min_rate,
        rate_window=settings.min_rate_window,
        head_timeout=settings.header_timeout,
    )
    return uvicorn.Config(
        app,
        http=crowding.within(protocol, room),
        ws="none",
        lifespan="off",  # opened around the server, so that a start that fails says so in plain words
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.proxy_headers,
        timeout_graceful_shutdown=max(1, round(settings.graceful_timeout)),
    )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _listen(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _let_go_of_the_silent(listener, settings.body_timeout)
            listener.bind(address)
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotRun(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Choose another with --host or --port; ferryman doctor may know who uses it."
        ) from error
    return listener


def _let_go_of_the_silent(listener: socket.socket, seconds: float) -> None:
    """Have the kernel end connections that take nothing of an answer for so long; accepted ones inherit the option."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # RFC 5482; Linux, and there for a window that stays closed too (tcp(7))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, round(seconds * 1000)))
