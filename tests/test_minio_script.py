"""`scripts/minio` with a Go that only pretends: it builds once, whole or not at all, and says what went wrong."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parent.parent / "scripts/minio"
GO: Final = r"""#!/bin/sh
[ "$1" = install ] || { echo go1.26.8; exit; }
echo build >>"$CALLS"
sleep 0.3
[ -z "${BROKEN:-}" ] || { echo "dial tcp: no way there" >&2; exit 1; }
mkdir -p "$GOBIN"
printf '#!/bin/sh\necho a server\n' >"$GOBIN/minio"
chmod +x "$GOBIN/minio"
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with a cache folder and a Go."""

    cache: Path
    calls: Path
    environment: Mapping[str, str]

    def start(self, **more: str) -> "subprocess.Popen[str]":
        """Start the script."""
        pipe = subprocess.PIPE
        return subprocess.Popen(SCRIPT, stdout=pipe, stderr=pipe, text=True, env={**self.environment, **more})

    def run(self, **more: str) -> tuple[int, str, str]:
        """Run the script: its exit code, and what it said on stdout and on stderr."""
        return ended(self.start(**more))

    def builds(self) -> int:
        """How often Go was asked to build something."""
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def left(self) -> list[str]:
        """The files in the cache, those of locks excepted."""
        return sorted(path.name for path in self.cache.rglob("*") if path.is_file() and path.name != "lock")


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for the script: its exit code, and what it said on stdout and on stderr."""
    said, complained = process.communicate(timeout=30)
    return process.returncode, said, complained


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing has been built."""
    go, cache, calls = tmp_path / "bin/go", tmp_path / "cache", tmp_path / "calls"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    path = f"{go.parent}:{os.environ['PATH']}"
    return Machine(cache, calls, {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(cache), "CALLS": str(calls)})


def test_it_builds_once_and_prints_nothing_but_the_path(machine: Machine) -> None:
    """The second call finds what the first one built, and the build leaves nothing else behind."""
    (_, first, words), (_, second, silence) = machine.run(), machine.run()
    assert subprocess.run(first.strip(), capture_output=True, check=True).stdout == b"a server\n"
    assert second == first
    assert "Building MinIO" in words
    assert (silence, machine.builds(), machine.left()) == ("", 1, ["minio"])


def test_two_at_the_same_time_build_once(machine: Machine) -> None:
    """The one that comes second waits, and uses what the first one built."""
    (one, first, _), (other, second, _) = map(ended, [machine.start(), machine.start()])
    assert (one, other, machine.builds()) == (0, 0, 1)
    assert first == second


def test_a_build_that_fails_says_why_and_the_next_one_starts_afresh(machine: Machine) -> None:
    """The exit code is not 0, stdout is empty, Go's own words and what to do are on stderr; nothing half is kept."""
    code, said, words = machine.run(BROKEN="1")
    assert (code, said) == (1, "")
    assert "dial tcp: no way there" in words
    assert "To try again: scripts/minio" in words
    assert machine.run()[0] == 0
    assert machine.left() == ["minio"]


def test_a_program_that_does_not_start_is_not_taken(machine: Machine) -> None:
    """What Go built must at least tell its version before it is put into the cache."""
    go = Path(machine.environment["PATH"].split(":")[0]) / "go"
    go.write_text(GO.replace("echo a server", "exit 1"))
    assert machine.run()[:2] == (1, "")
    assert "minio" not in {path.name for path in machine.cache.glob("ferryman/minio/v*/*")}
