"""The ping beside a load: a small request every 5 ms."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.errors import CannotMeasure
from bench.native import program


@contextmanager
def pinging(port: int, path: str) -> Iterator[Callable[[], dict[str, float]]]:
    """Ping until the function that is handed out is called: it tells how many answers came and how late.

    It raises CannotMeasure when one was not the right one.
    """
    pipe = subprocess.PIPE
    command = [str(program("ping")), "--port", str(port), "--path", path]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:

        def stop() -> dict[str, float]:
            told, errors = process.communicate()
            if process.returncode:
                raise CannotMeasure(errors.strip())
            figures: dict[str, float] = json.loads(told)
            return figures

        try:
            yield stop
        finally:
            process.kill()
