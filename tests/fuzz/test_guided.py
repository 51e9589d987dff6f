"""The parsers of header fields under guided fuzzing, each in a process of its own for a part of the time."""

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fuzz import corpus
from tests.fuzz.budget import SEED, patience, share
from tests.fuzz.driver import RANDOM
from tests.fuzz.targets import PLANTED, TARGETS

ROOT = Path(__file__).parents[2]
TOGETHER = 2  # processes
FOUND = 77  # exit status of a driver that found something
NAMES = tuple(name for name in TARGETS if name != PLANTED)
SECONDS = share(25) * TOGETHER / len(NAMES)  # of each target


Done = subprocess.CompletedProcess[str]
Search = Callable[[str], tuple[Done, Path]]


def search(target: str, folder: Path, *flags: str, seconds: float) -> Done:
    """Run a target's driver, whose corpus and findings go into the folder."""
    command = [sys.executable, "-m", f"tests.fuzz.atheris_{target}", f"-seconds={seconds}"]
    command += [f"-seed={SEED}", f"-artifact_prefix={folder}/", *flags, str(folder / "corpus")]
    # What a target prints may be any bytes.
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False, timeout=seconds + 60
    )


def findings(folder: Path, target: str) -> str:
    """What was found, for people: the input, how it failed, how to play it again, and where it belongs."""
    told = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        data = path.read_bytes()
        told.append(
            f"{path.name}, base64: {base64.b64encode(data).decode()}\n"
            f"keep it: echo … | base64 -d > tests/fuzz/cases/{target}/WHAT-IT-SHOWS\n"
            f"try it: .venv/bin/python -m tests.fuzz.atheris_{target} tests/fuzz/cases/{target}/WHAT-IT-SHOWS"
        )
    return "\n".join(told)


@pytest.fixture(scope="module")
def searched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    """The outcome of a target's search and where its findings are; the chosen targets are searched side by side."""
    chosen = [name for name in NAMES if any(f"fail[{name}]" in item.name for item in request.session.items)]
    folders = {name: tmp_path_factory.mktemp(name) for name in chosen}
    with ThreadPoolExecutor(TOGETHER) as pool:
        running = {name: pool.submit(search, name, folders[name], seconds=SECONDS) for name in chosen}
        yield lambda name: (running[name].result(), folders[name])


@pytest.mark.parametrize("target", NAMES)
@patience(SECONDS * len(NAMES) / TOGETHER)
def test_nothing_makes_a_target_fail(target: str, searched: Search) -> None:
    """No input that the search comes to breaks a promise, hangs, or takes much memory."""
    done, folder = searched(target)
    assert done.returncode == 0, f"{findings(folder, target)}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize(("target", "case"), [(name, case) for name in NAMES for case in corpus.failed(name)])
def test_what_once_failed_does_not_fail_again(target: str, case: str) -> None:
    """Each input that ever made a target fail is tried in every run."""
    TARGETS[target](corpus.failed(target)[case])


def test_every_case_belongs_to_a_target() -> None:
    """A case in a folder of another name would never be tried."""
    assert {path.name for path in corpus.CASES.iterdir()} <= set(NAMES)


@pytest.mark.parametrize("flags", [(), (RANDOM,)], ids=["guided", "random"])
def test_a_planted_fault_is_found_told_and_played_again(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Both drivers find a fault that is there on purpose; the input is kept, can be shown, and fails again."""
    done = search(PLANTED, tmp_path, *flags, seconds=30)
    assert done.returncode == FOUND, done.stderr[-2000:]
    (kept,) = (path for path in tmp_path.iterdir() if path.is_file())
    with pytest.raises(AssertionError):
        TARGETS[PLANTED](kept.read_bytes())
    assert base64.b64encode(kept.read_bytes()).decode() in findings(tmp_path, PLANTED)
    again = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.atheris_planted", *flags, f"-artifact_prefix={tmp_path}/", str(kept)],
        cwd=ROOT, capture_output=True, text=True, errors="replace", check=False, timeout=60,
    )  # fmt: skip
    assert again.returncode == FOUND, again.stderr[-2000:]


def test_every_target_has_a_command_and_seeds() -> None:
    """Each can be run by hand, and begins with something that is no failure."""
    commands = {path.stem.removeprefix("atheris_") for path in Path(__file__).parent.glob("atheris_*.py")}
    assert commands == set(TARGETS)
    for name in NAMES:
        assert corpus.seeds(name)
        for seed in corpus.seeds(name):
            TARGETS[name](seed)
