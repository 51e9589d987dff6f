"""The load client under way."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import CannotMeasure
from bench.native import program


@contextmanager
def loaded(port: int, path: str, *arguments: str | int) -> Iterator[dict[str, Any]]:
    """What the load client tells when its clock has stopped; leaving waits until it has asked for what it sent.

    Raises CannotMeasure with its words when an answer was not the right one.
    """
    command = [str(program("load")), "--port", str(port), "--path", path, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # it waits at most two minutes for any answer
            if line:
                yield json.loads(line)
            _, errors = process.communicate()
        finally:
            process.kill()
    if process.returncode or not line:
        raise CannotMeasure(errors.strip() or f"the load client ended with exit code {process.returncode}")
