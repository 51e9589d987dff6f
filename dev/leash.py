"""A process that is not to outlive the one that started it."""

import subprocess
from typing import Final

_WATCH: Final = 'read -r _; kill -9 "$1"'  # `read` ends when the last end of the pipe that could write is closed


class Leash:
    """Kills a process when this one is gone, also when it had no time for it: killed itself, or ended by a timeout.

    A small shell waits on a pipe from here. The kernel's own PR_SET_PDEATHSIG would not do: it looks at the thread that
    started the process, and servers are started again from threads that end.

    Whoever ends the process calls `release` first, while the process is not waited for: its number is still its own.
    """

    def __init__(self, pid: int) -> None:
        self._watch = subprocess.Popen(
            ["sh", "-c", _WATCH, "leash", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the others
        )

    def release(self) -> None:
        """Let the process be."""
        assert self._watch.stdin is not None
        self._watch.kill()
        self._watch.wait()
        self._watch.stdin.close()
