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

import uvicorn

from ferryman_server import logs
from ferryman_server.app import Application, create_app
from ferryman_server.commands.base import FINE, CannotRun, Command
from ferryman_server.malloc import tune_malloc
from ferryman_server.settings import Settings
from ferryman_server.wire import protocol_class


class Serve(Command):
    """The command."""

    name = "serve"
    help = "take uploads: tus 1.0 and the IETF protocol, at /files/"

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Serve until told to stop. Raises CannotRun, StateError and StoreError when it cannot start."""
        logs.configure(settings)
        tune_malloc()
        with _listen(settings) as listener:
            application = create_app(settings)
            server = _Server(_config(settings, application))
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(_run(application, server, listener))
        return FINE


command = Serve()


class _Server(uvicorn.Server):
    """uvicorn's server: says where it listens, and leaves it to us to end the process after a signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            url = _url(listener)
            print(f"Ferryman listens on {url} - uploads go to {url}files/", flush=True)

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
        await server.serve(sockets=[listener])


def _config(settings: Settings, app: Application) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol_class(idle_timeout=settings.body_timeout, head_timeout=settings.header_timeout),
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
