"""tuspyserver under uvicorn in a process of its own, for tests that hold our server against another one.

Run as a module it is that server: `python -m tests.support.rival FOLDER` takes a free port and prints it.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@contextmanager
def rival(folder: Path) -> Iterator[int]:
    """The port of a running tuspyserver that keeps its files in `folder`."""
    command = [sys.executable, "-m", "tests.support.rival", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.strip().isdigit(), "tuspyserver did not start"
            yield int(line)
        finally:
            process.kill()


def serve(folder: str) -> None:
    """Serve until killed; uploads go to /files."""
    import uvicorn  # here and not above: the tests' own process has no use for them
    from fastapi import FastAPI
    from tuspyserver import create_tus_router

    app = FastAPI()
    app.include_router(create_tus_router(prefix="files", files_dir=folder))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(sys.argv[1])
