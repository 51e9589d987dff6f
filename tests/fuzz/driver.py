"""Runs one target: guided by coverage with atheris where that is installed, else by random mutations.

    .venv/bin/python -m tests.fuzz.atheris_structured -max_total_time=60 [more flags of libFuzzer] [FOLDER]
    .venv/bin/python -m tests.fuzz.atheris_structured crash-…

A folder is the corpus: what is there is tried first, and what leads to new code is kept there; without one it is a
folder of the target's own beside other temporary files. A file is tried, once, and that is all: so a failure is
played again. Either way of running understands `-max_total_time=`, `-runs=`, `-seed=` and `-artifact_prefix=`;
`-random` chooses the random mutations where atheris is there too, and `-seconds=` may be a fraction.

What failed becomes a case: `mv crash-… tests/fuzz/cases/structured/what-it-shows`.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

TIMEOUT: Final = 5  # seconds for one input: what takes longer is a hang
RANDOM: Final = "-random"
SECONDS: Final = "-seconds="
LONGEST: Final = 8192  # bytes of an input; the wire takes heads up to 32 KiB, but short inputs find more in less time

Check = Callable[[bytes], None]


def main(target: str) -> None:
    """The command line of a target."""
    arguments = [each for each in sys.argv[1:] if each != RANDOM and not each.startswith(SECONDS)]
    seconds = [float(each.removeprefix(SECONDS)) for each in sys.argv if each.startswith(SECONDS)]
    if not [each for each in arguments if not each.startswith("-")]:
        folder = Path(tempfile.gettempdir()) / "ferryman-fuzz" / target
        arguments.append(str(folder))
    folders = [Path(each) for each in arguments if not each.startswith("-") and not Path(each).is_file()]
    if RANDOM in sys.argv or importlib.util.find_spec("atheris") is None:
        check, seeds = _load(target)
        _plant(folders, seeds)
        arguments += [f"-max_total_time={each}" for each in seconds]
        random_driver = importlib.import_module("tests.fuzz.random_driver")
        sys.exit(random_driver.run(check, arguments))
    atheris: Any = importlib.import_module("atheris")
    # The core and the server are loaded in here, and so are instrumented; what was loaded before is not.
    with atheris.instrument_imports(include=["ferryman_protocol", "ferryman_server"]):
        check, seeds = _load(target)
    _plant(folders, seeds)
    limits = [f"-timeout={TIMEOUT}", f"-max_len={LONGEST}"]
    check = _until(time.monotonic() + seconds[-1], check) if seconds else check
    atheris.Setup([sys.argv[0], *limits, *arguments], check)  # the later of two equal flags counts
    atheris.Fuzz()


def _until(end: float, check: Check) -> Check:
    """The check, which ends the process when it is called after this moment: libFuzzer counts in whole seconds."""

    def checked(data: bytes) -> None:
        check(data)
        if time.monotonic() >= end:
            os._exit(0)  # libFuzzer takes every other way out of a target for a crash

    return checked


def _load(target: str) -> tuple[Check, Iterable[bytes]]:
    targets, corpus = (importlib.import_module(f"tests.fuzz.{name}") for name in ("targets", "corpus"))
    return targets.TARGETS[target], corpus.seeds(target)


def _plant(folders: Iterable[Path], seeds: Iterable[bytes]) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
