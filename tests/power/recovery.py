"""A server started on what a power cut left, in this process, and the promises held against it."""

import asyncio
import hashlib
import http.client
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
import uvloop
from uvicorn.server import ServerState

from ferryman_server.app import create_app
from ferryman_server.backends import Backends
from ferryman_server.checkup.findings import Level
from ferryman_server.checkup.reading_back import verified
from ferryman_server.settings import Settings
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.local import LocalStore
from ferryman_server.wire import protocol_class
from tests.power.promises import Known, Story
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.uploading import INTEROP, MIB, TUS, append_head, id_of

AGAIN: Final = 8 * MIB  # bytes that a power cut may make a client send again
PATIENCE: Final = 10.0  # seconds for what a start still has to finish
ENOUGH: Final = 30.0  # seconds for everything
_OVER: Final = (404, 410)


def on_recovered(data: Path, look: Callable[[int], None]) -> list[str]:
    """Start the server on a data folder, let `look(port)` look at it, read everything back, stop it. Returns what was
    wrong: what it logged as an error, what differs from its row's checksum, and why it did not start.

    This process was started under the kernel's true boot id: to the server, the machine was booted since the cut.
    """
    with structlog.testing.capture_logs() as entries, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(data, look))
    return [str(entry) for entry in entries if entry["log_level"] in ("error", "critical") or "exc_info" in entry]


async def _serve(data: Path, look: Callable[[int], None]) -> list[str]:
    store = LocalStore(data, sync=_no_sync, sync_entries=_no_sync)  # the power does not go again
    store.open()
    state = SqliteState(data / "state.db", store_id=store.store_id)
    backends = Backends(state=state, store=store, previous_boot=lambda: state.previous_boot_id)
    app = create_app(Settings(data=data), backends=backends)
    config = uvicorn.Config(app, http=protocol_class(), ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    connections = ServerState()

    def protocol() -> asyncio.Protocol:
        made: Any = config.http_protocol_class
        connection: asyncio.Protocol = made(config=config, server_state=connections, app_state={})
        return connection

    async with app.running():
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        try:
            await asyncio.to_thread(look, server.sockets[0].getsockname()[1])
            return [str(finding) for finding in await verified(state, store) if finding.level is Level.WRONG]
        finally:
            server.close()
            for connection in list(connections.connections):
                connection.shutdown()
            await asyncio.gather(*connections.tasks, return_exceptions=True)


def _no_sync(descriptor: int) -> None:
    """This disk is only looked at."""


class Judge:
    """Holds promises against a server that was started again, and carries every upload to its end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.faults: list[str] = []
        self.again = 0  # bytes: the most that one client has to send again
        self.volatile = 0  # bytes: the most of them that the server had written
        self.lost = 0  # uploads of which bytes had been told to be stored, and that are not what was told

    def hear(self, known: list[tuple[Story, Known]], written: Mapping[str, int]) -> None:
        """Judge every upload; what is wrong goes to `faults`. `written`: how long their files had become."""
        self._written = written
        deadline = time.monotonic() + ENOUGH
        rest = sorted(known, key=lambda one: one[0].assembled)  # what is put together comes after its parts
        while rest and time.monotonic() < deadline:
            with RawClient(self.port) as self._line, closing(self._new_reader()) as self._reader:
                while rest and self._is_right(*rest.pop(0)):
                    pass  # a connection on which something went wrong is not used again
        self.faults += [f"{len(rest)} uploads were not looked at: the server was too slow"] if rest else []

    def _new_reader(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def _is_right(self, story: Story, known: Known) -> bool:
        try:
            self._judge(story, known)
        except (AssertionError, ConnectionError, KeyError, TimeoutError) as fault:
            self.lost += known.stored > 0 and not known.deletion
            self.faults.append(f"{story} [{known}]: {fault}")
            return False
        return True

    def _judge(self, story: Story, known: Known) -> None:
        answer = self._settled(story)
        if known.gone:
            assert answer.status in _OVER, f"was deleted, and HEAD is answered {answer}"
            assert self._get(story)[0] in _OVER, "was deleted, and can be read"
            return
        if answer.status in _OVER:
            assert known.deletion or not known.exists, f"was told to exist, and HEAD is answered {answer}"
            return
        assert answer.status in (200, 204), f"HEAD is answered {answer}"
        if story.assembled:
            answer = self._assembled(story, answer)
        offset = int(answer.headers["upload-offset"])
        complete = _is_complete(story, answer)
        assert offset >= known.stored, f"{known.stored} bytes were told, {offset} are there"
        assert offset <= known.sent, f"{offset} bytes are there, {known.sent} were sent"
        assert complete or not known.complete, f"was told to be complete, and is not: {answer}"
        assert story.grains is None or offset in story.grains, f"{offset} is in the middle of a checksum's bytes"
        if not complete:
            if story.grains is None:
                self.again = max(self.again, known.sent - offset)
                volatile = self._written.get(id_of(str(story.path)), 0) - offset
                self.volatile = max(self.volatile, volatile)
                assert volatile <= AGAIN, f"{volatile} bytes that were written have to come again"
            self._carry_on(story, offset, answer)
        status, body = self._get(story)
        assert status == 200, f"is complete, and GET is answered {status}"
        right = hashlib.sha256(body).digest() == hashlib.sha256(story.whole).digest()
        assert right, (
            f"is complete, and its {len(body)} bytes are not those that were sent: {_wrong(body, story.whole)}"
        )

    def _settled(self, story: Story) -> RawResponse:
        """The answer to HEAD, once what a start had to finish is finished."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self._head(story)).status == 503 and time.monotonic() < deadline:
            time.sleep(0.02)
        return answer

    def _assembled(self, story: Story, answer: RawResponse) -> RawResponse:
        """The answer to HEAD of a final upload, once it is put together."""
        deadline = time.monotonic() + PATIENCE
        while not _is_complete(story, answer):
            assert time.monotonic() < deadline, f"it was not put together in time: {answer}"
            time.sleep(0.02)
            answer = self._settled(story)
        return answer

    def _carry_on(self, story: Story, offset: int, answer: RawResponse) -> None:
        assert story.path is not None
        fields = [f"Upload-Length: {len(story.whole)}"] if "upload-defer-length" in answer.headers else []
        body = story.whole[offset:]
        with RawClient(self.port) as client:
            client.send(append_head(story.dialect, story.path, offset, *fields, size=len(body)), body)
            answer = client.responses()[-1]
        assert answer.status in (201, 204), f"could not be resumed at {offset}: {answer}"

    def _head(self, story: Story) -> RawResponse:
        assert story.path is not None
        self._line.send(head("HEAD", story.path, TUS if story.dialect == "tus" else INTEROP))
        return self._line.response(to_head=True)

    def _get(self, story: Story) -> tuple[int, bytes]:
        assert story.path is not None
        self._reader.request("GET", story.path)
        answer = self._reader.getresponse()
        return answer.status, answer.read()


def _is_complete(story: Story, answer: RawResponse) -> bool:
    if story.dialect == "rufh":
        return answer.headers.get("upload-complete") == "?1"
    told = answer.headers.get("upload-offset")
    return told == str(len(story.whole)) and "upload-defer-length" not in answer.headers


def _wrong(body: bytes, whole: bytes) -> str:
    at = next((at for at, (one, other) in enumerate(zip(body, whole, strict=False)) if one != other), None)
    return "the length differs" if at is None else f"the first wrong one is at {at}"
