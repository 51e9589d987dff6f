"""The driver where atheris is not: random mutations of the corpus, with libFuzzer's flags and habits.

It is not guided by coverage, so it finds less in the same time; its inputs are the seeds, changed in a few places.
"""

import base64
import hashlib
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from tests.fuzz.driver import LONGEST, TIMEOUT

FAILED: Final = 77  # what libFuzzer exits with
# Pieces of text that have a meaning in one field or another.
_WORDS: Final = (
    *(b'0 1 -1 007 999999999999999 1000000000000000 9223372036854775808 ?0 ?1 () :: := ;a=1 %"%ff" @1 1.5 *'.split()),
    *(b"bytes=0- filename*=UTF-8''%c3 sha-256=:: sha1 final; partial gzip \xff \xc3\xa9 \x7f \\\" = , ;".split()),
    *(b"\n", b"\r\n", b" ", b"\t", b"\0", b": "),
)


def run(check: Callable[[bytes], None], arguments: Sequence[str]) -> int:
    """Try files once, or search with a folder's contents; returns the exit status."""
    flags = dict(each.lstrip("-").split("=", 1) for each in arguments if each.startswith("-") and "=" in each)
    paths = [Path(each) for each in arguments if not each.startswith("-")]
    files = [path for path in paths if path.is_file()]
    prefix = flags.get("artifact_prefix", "./")
    signal.signal(signal.SIGALRM, _too_long)
    if files:
        return max(_try(check, path.read_bytes(), prefix) for path in files)
    corpus = [path.read_bytes() for folder in paths for path in sorted(folder.iterdir())] or [b""]
    seconds, runs = float(flags.get("max_total_time", "0")), int(flags.get("runs", "-1"))
    if status := max(_try(check, data, prefix) for data in corpus):
        return status
    chance = random.Random(int(flags.get("seed", "1")))
    end = time.monotonic() + seconds if seconds else float("inf")
    number = len(corpus)
    while time.monotonic() < end and number != runs:
        if status := _try(check, mutated(corpus, chance), prefix):
            return status
        number += 1
    print(f"Done {number} runs without coverage", file=sys.stderr)
    return 0


def mutated(corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the corpus, changed in one to four places."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(1, 8))
        match chance.randrange(6):
            case 0:
                data[at:at] = chance.choice(_WORDS)
            case 1:
                data[at:end] = chance.choice(_WORDS)
            case 2:
                data[at:at] = bytes([chance.randrange(256)])
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end] * chance.randint(1, 40)
            case _:
                other = chance.choice(corpus)
                data[at:] = other[chance.randrange(len(other) + 1) :]
    return bytes(data[:LONGEST])


def _try(check: Callable[[bytes], None], data: bytes, prefix: str) -> int:
    what = "crash"
    signal.alarm(TIMEOUT)
    try:
        check(data)
        return 0
    except TimeoutError:
        what = "timeout"
        traceback.print_exc()
    except Exception:
        traceback.print_exc()
    finally:
        signal.alarm(0)
    path = Path(f"{prefix}{what}-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}")
    path.write_bytes(data)
    print(f"Test unit written to {path}\nBase64: {base64.b64encode(data).decode()}", file=sys.stderr)
    return FAILED


def _too_long(signal_number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"the input took longer than {TIMEOUT} seconds")
