"""How long the bucket takes for something small: no upload is answered sooner."""

import statistics
import time
from typing import Final

from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.checkup.probe import Probe
from ferryman_server.storage.s3_errors import S3Error

ROUNDS: Final = 5
SLOW: Final = 0.25  # seconds


def check_speed(probe: Probe) -> list[Finding]:
    """Store 1 KiB a few times, after each other."""
    key, times = probe.key("speed"), []
    try:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            probe.put(key)
            times.append(time.perf_counter() - began)
    except S3Error as error:
        return [wrong(f"a series of small objects broke off: {error}", "look at the S3 server's own log and health")]
    return [judge_speed(statistics.median(times))]


def judge_speed(seconds: float) -> Finding:
    """Say the figure; a slow one is worth a word."""
    text = f"the bucket takes {seconds * 1000:.2f} ms to store 1 KiB (the median of {ROUNDS})"
    if seconds > SLOW:
        return note(f"{text}: small uploads wait for that", "choose a nearer or faster S3 server if uploads feel slow")
    return ok(text)
