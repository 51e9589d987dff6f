"""The jobs process as the server sees it: started by the first request, ended when it is not wanted any more.

It is a child in a session of its own (a Ctrl-C on the server's terminal is the server's to handle) that ends when its
standard input does, so also with a server that was killed. What it says goes to the server's standard error.
"""

import asyncio
import contextlib
import pickle
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from ferryman_server.jobs.errors import JobFailed, WorkerDied
from ferryman_server.jobs.messages import LONGEST, Request, read_answer
from ferryman_server.settings import Settings

log = structlog.get_logger("ferryman.jobs")

PATIENCE: Final = 3600.0  # seconds for one job
_LAST: Final = 5.0  # seconds that it has to end by itself

_COMMAND: Final = (sys.executable, "-P", "-m", "ferryman_server.jobs")  # -P: nothing of the working folder is imported


class Worker:
    """One process, one request at a time. Used on the event loop."""

    def __init__(self, settings: Settings, *, command: Sequence[str] = _COMMAND, patience: float = PATIENCE) -> None:
        """`patience`: seconds that a job may take."""
        self._settings = settings
        self._command = command
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    async def ask(self, request: Request) -> Mapping[str, Any]:
        """Have something done, and wait for what comes of it. Raises JobFailed, and WorkerDied where the process ended
        over it. Who cancels this ends the process."""
        process = self._process if self._process is not None and self.running else await self._start()
        try:
            async with asyncio.timeout(self._patience):
                line = await self._exchange(process, request)
        except TimeoutError:
            await self._kill(process)
            raise WorkerDied(f"it was not done within {self._patience:g} seconds") from None
        except BaseException:
            await self._kill(process)
            raise
        if not line.endswith(b"\n"):
            await process.communicate()
            raise WorkerDied(f"the process that was at it {_end(process.returncode or 0)}")
        answer = read_answer(line)
        if answer.result is None:
            raise JobFailed(answer.failed or "it failed", again=True)
        return answer.result

    async def stop(self) -> None:
        """End the process, which has nothing to do. Idempotent, also if an earlier call was cancelled."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_LAST):
                await process.communicate()
        except TimeoutError:
            await self._kill(process)
        self._process = None

    async def _start(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, limit=LONGEST, start_new_session=True
            )
        except OSError as error:
            raise WorkerDied(f"the jobs process cannot be started: {error.strerror or error}") from error
        log.info("the jobs process was started", pid=process.pid)
        self._process = process
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(self._settings))
        return process

    async def _exchange(self, process: asyncio.subprocess.Process, request: Request) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):  # then it has ended, and the answer is empty
            process.stdin.write(request.to_line())
            await process.stdin.drain()
        return await process.stdout.readline()

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def _end(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
