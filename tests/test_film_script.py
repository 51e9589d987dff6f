"""`scripts/film` with an apt-get that only pretends: one file comes out of a package, and nothing else is left."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.zips.film import TREE

SCRIPT: Final = Path(__file__).parent.parent / "scripts/film"
PLACE: Final = "usr/share/doc/opencv-doc/examples/data/tree.avi"
CONTROL: Final = "Package: opencv-doc\nVersion: 1\nArchitecture: all\nMaintainer: A <a@localhost>\nDescription: -\n"
APT: Final = r"""#!/bin/sh
echo "$*" >>"$CALLS"
case $*:${LISTS:-} in
    *update:*) exit ;;
    *Dir::State::lists=*:new | *:there) cp "$PACKAGE" opencv-doc_1_all.deb ;;
    *) echo "E: Unable to locate package opencv-doc" >&2; exit 100 ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with a cache folder and an apt-get."""

    films: Path
    calls: Path
    environment: Mapping[str, str]

    def run(self, lists: str) -> tuple[int, str]:
        """Run the script: its exit code, and what it said. `lists` that know the package: "there", "new" ones, ""."""
        environment = {**self.environment, "LISTS": lists}
        done = subprocess.run(SCRIPT, capture_output=True, text=True, env=environment, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def asked(self) -> list[str]:
        """What apt-get was to do, each time."""
        return [words.removesuffix(" opencv-doc").split()[-1] for words in self.calls.read_text().splitlines()]


def package(folder: Path, film: bytes) -> Path:
    """A Debian package with these bytes where the film is in the real one."""
    for name, content in {PLACE: film, "DEBIAN/control": CONTROL.encode()}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    (folder / "DEBIAN").chmod(0o755)  # dpkg-deb insists
    made = folder.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", folder, made], stdout=subprocess.DEVNULL, check=True)
    return made


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has no film, where a package with the real one can be had."""
    apt, calls = tmp_path / "bin/apt-get", tmp_path / "calls"
    apt.parent.mkdir()
    apt.write_text(APT)
    apt.chmod(0o755)
    here = {"PATH": f"{apt.parent}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "a cache")}
    packed = package(tmp_path / "package", TREE.file.read_bytes())
    return Machine(
        tmp_path / "a cache/ferryman/films", calls, {**os.environ, **here, "CALLS": str(calls), "PACKAGE": str(packed)}
    )


def test_it_downloads_once_and_keeps_nothing_but_the_film(machine: Machine) -> None:
    """The second call finds what the first one brought: it says nothing, and does not ask apt-get."""
    code, said = machine.run("there")
    assert (code, "Downloading a film" in said) == (0, True)
    assert machine.run("there") == (0, "")
    assert machine.asked() == ["download"]
    (film,) = machine.films.iterdir()
    assert (film.name, film.read_bytes()) == ("tree.avi", TREE.file.read_bytes())


def test_without_lists_of_packages_it_fetches_its_own(machine: Machine) -> None:
    """They lie beside the package, where nobody has to be root, and go with it."""
    assert machine.run("new")[0] == 0
    assert machine.asked() == ["download", "update", "download"]
    assert f"Dir::State::lists={machine.films}/" in machine.calls.read_text()
    assert [path.name for path in machine.films.iterdir()] == ["tree.avi"]


def test_a_failure_says_why_and_what_to_do(machine: Machine) -> None:
    """The exit code is not 0, apt-get's own words and two ways out are told; nothing is kept; the next try works."""
    code, said = machine.run("")
    assert code == 1
    assert "E: Unable to locate package opencv-doc" in said
    assert "To try again: scripts/film" in said
    assert f"at {machine.films}/tree.avi" in said
    assert list(machine.films.iterdir()) == []
    assert machine.run("there")[0] == 0


def test_another_film_is_not_taken(machine: Machine, tmp_path: Path) -> None:
    """The tests' frames are those of one file: whatever else bears its name is refused."""
    shutil.copy(package(tmp_path / "other", b"RIFF another"), machine.environment["PACKAGE"])
    code, said = machine.run("there")
    assert (code, f"there is another ./{PLACE} in opencv-doc_1_all.deb" in said) == (1, True)
    assert list(machine.films.iterdir()) == []
