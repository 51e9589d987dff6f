"""What is told of the machine."""

import os
import subprocess
from pathlib import Path

from bench.machine import file_system, machine, sync_milliseconds
from bench.processes import family


def test_file_system_is_that_of_the_folder(tmp_path: Path) -> None:
    """As coreutils tell it."""
    for place in (tmp_path, Path("/proc"), Path("/dev")):
        told = subprocess.run(["df", "--output=fstype", place], capture_output=True, text=True, check=True).stdout
        assert file_system(place) == told.split()[-1]


def test_machine_tells_neither_name_nor_path(tmp_path: Path) -> None:
    """The figures are published."""
    told = str(machine(tmp_path))
    assert os.uname().nodename not in told.split("'")
    assert str(tmp_path) not in told


def test_sync_takes_time(tmp_path: Path) -> None:
    """The disk is asked, and the file is gone afterwards."""
    assert sync_milliseconds(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_family_of_a_process_are_its_descendants() -> None:
    """CPU time and memory of a server's workers count as the server's."""
    with subprocess.Popen(["sh", "-c", "sleep 30 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        child = int(shell.stdout.readline())
        try:
            assert family(shell.pid) == [shell.pid, child]
            assert child in family(os.getpid())
        finally:
            os.kill(child, 15)
