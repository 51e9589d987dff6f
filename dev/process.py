"""One service as a running process: its lines are passed on, and it ends with us."""

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from dev.leash import Leash

CHECK_TIMEOUT: Final = 10.0  # seconds


class Process:
    """A process that has been started. `say` is called with each line that it writes, from another thread."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, say: Callable[[str], None]
    ) -> None:
        """Start it in `folder`. Raises OSError."""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            env=environment,
            cwd=folder,
            start_new_session=True,  # Ctrl-C is for us: we end them one after the other
        )
        self._leash: Leash | None = Leash(self._process.pid)
        self._reader = threading.Thread(target=self._read, args=(say,), daemon=True)
        self._reader.start()

    @property
    def status(self) -> int | None:
        """Its exit code; None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._release()
        return status

    def wait(self, timeout: float) -> int | None:
        """Wait for its end; its exit code, or None when it still runs."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def end(self, grace: float) -> None:
        """SIGTERM, and SIGKILL when it still runs after so many seconds. An ended process may be ended again."""
        self._release()
        self._process.send_signal(signal.SIGTERM)
        if self.wait(grace) is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _release(self) -> None:
        """Once it has ended, its number may become that of any other process."""
        if self._leash is not None:
            self._leash.release()
            self._leash = None

    def _read(self, say: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                say(line.rstrip("\n"))


def succeeds(command: Sequence[str]) -> bool:
    """Whether a command ends with 0 within its time."""
    try:
        return subprocess.run(command, capture_output=True, timeout=CHECK_TIMEOUT, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
