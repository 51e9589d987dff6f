"""The malloc thresholds are raised where glibc is the C library."""

import platform
import subprocess
import sys


def test_malloc_is_tuned_on_glibc_and_left_alone_elsewhere() -> None:
    """It says what it did; in a process of its own, since it holds for a whole process."""
    code = "from ferryman_server.malloc import tune_malloc; print(tune_malloc())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
