"""A process that dies at each line of an extraction in turn: `python -m tests.server.media.extraction_deaths FOLDER …`.

For each line that is run in the modules that do the work, a child is forked, which ends there as by `kill -9`. What is
in the place then is told, and what is there after the next process has cleared up: a JSON document of both for each.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from ferryman_server.media import atomic_folder, extraction, folder_calls
from ferryman_server.media.atomic_folder import cleared
from ferryman_server.media.extracted import not_ours
from tests.server.media.extraction_rig import contents, described, extract, files
from tests.server.media.extraction_rig import extraction as of

COUNT = 2  # frames
OLD, NEW = 1, 2  # generations
DIED = 9
_WATCHED = {atomic_folder.__file__, folder_calls.__file__, extraction.__file__}


def found(place: Path) -> str:
    """What a player finds: `old`, `new`, `nothing`, or `mixed`, which is not to be."""
    if not os.path.lexists(place):
        return "nothing"
    for name, generation in (("old", OLD), ("new", NEW)):
        whole = [(f"{n:05}.rgb", content) for n, content in enumerate(contents(COUNT, generation))]
        try:
            if files(place) == whole and described(place)["generation"] == generation:
                return name
        except OSError:
            pass
    return "mixed"


def dies(step: int, work: Callable[[], object]) -> bool:
    """Fork a child that does this work and dies at so many lines. False: it came to its end."""
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in _WATCHED:
                return None
            lines += event == "line"
            if lines > step:
                os._exit(DIED)
            return trace

        sys.settrace(trace)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED), f"the child ended with {code}"
    return code == DIED


def main(folder: Path, before: str, way: str) -> None:
    """`before`: `old` or `nothing`; `way`: how folders change places, `at-once` or `one-by-one`."""
    if way == "one-by-one":
        atomic_folder.exchange = _cannot  # type: ignore[attr-defined]
    place, told, step = folder / "film", [], 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if before == "old":
            extract(of(place, COUNT, OLD))
        going = dies(step, lambda: extract(of(place, COUNT, NEW)))
        at_death = found(place)
        cleared(folder, not_ours)
        told.append([at_death, found(place), sorted(os.listdir(folder))])
        step += 1
        if not going:
            break
    print(json.dumps(told))


def _cannot(one: Path, other: Path) -> None:
    raise OSError(22, "Invalid argument")  # what a file system says that has no such operation


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
