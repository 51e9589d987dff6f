"""The jobs process: reads requests from its standard input, and answers each on its standard output.

It is a guest on the machine: uploads go before it when the processor is busy, the kernel ends it first when memory is
short, and it may not take more than so much of that. It ends when its standard input does, in the middle of a job too:
what is done by then is known to DBOS, and the rest is done by the next process.
"""

import os
import pickle
import queue
import resource
import sys
import threading
from contextlib import suppress
from typing import BinaryIO, Final, NoReturn

import structlog

from ferryman_server import logs
from ferryman_server.jobs.durable import Engine
from ferryman_server.jobs.messages import Request, read_request
from ferryman_server.malloc import tune_malloc
from ferryman_server.settings import Settings

log = structlog.get_logger("ferryman.jobs")

MOST_MEMORY: Final = 1 << 30  # bytes of data, threads' stacks included: more is taken for a mistake, or for malice
_REST: Final = 3.0  # seconds without a request after which it does nothing at all
_NICE: Final = 10  # sched(7): about a tenth of what a process with 0 gets
_FIRST_TO_GO: Final = "500"  # proc(5), oom_score_adj: as if it took half of the memory


def main() -> NoReturn:
    """Serve until nothing more comes."""
    requests_in, answers_out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else is printed here must not be taken for an answer
    settings: Settings = pickle.load(requests_in)
    logs.configure(settings)
    _be_a_guest()
    tune_malloc()
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests_in, requests), daemon=True).start()
    engine = Engine(settings)
    while True:
        try:
            request = requests.get(timeout=_REST)
        except queue.Empty:
            engine.rest()
            request = requests.get()
        answers_out.write(engine.run(request).to_line())


def _read(requests_in: BinaryIO, requests: "queue.SimpleQueue[Request]") -> None:
    for line in requests_in:
        requests.put(read_request(line))
    os._exit(0)  # the server is gone, or done with it: what is known is in the database, nothing is to be tidied up


def _be_a_guest() -> None:
    os.umask(0o077)  # as the server's own files
    os.nice(_NICE)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_FIRST_TO_GO)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, hard))
