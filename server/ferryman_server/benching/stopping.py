"""The end of a server that was started to be measured."""

import subprocess


def stop(process: "subprocess.Popen[bytes]", within: float) -> None:
    """Have it end well within so many seconds, or at all."""
    process.terminate()
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
