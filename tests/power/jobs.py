"""What the clients of a recorded run do, and how the server ends meanwhile."""

import math
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeAlias

from tests.power.client import LONG, SMALL, WAYS, Client
from tests.power.shim import Watch
from tests.support.process import Server
from tests.support.uploading import KIB

SMALL_WAYS: Final = ("small, PATCH", "small, creation with upload", "small, IETF in one request")
BURST: Final = 10  # small uploads after each other

Ending: TypeAlias = Literal["stop", "kill"]
Job: TypeAlias = Callable[[], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to happen in a run."""

    seed: int
    clients: int = 3
    rounds: int = 1  # how often each client uploads in each way
    ends: Sequence[Ending] = ("kill", "stop")  # of the server, one after the other, while the clients are at work
    long: bool = True  # one client uploads a large file too
    pause: float = 0.05  # seconds: the most that a client waits between two uploads
    failing: tuple[int, str] | None = None  # one in so many syncs fails, of what has this in its path
    flags: Sequence[str] = ()  # of the server
    delay: int = 400  # microseconds: the longest sync
    joined: bool = True  # the server may trust one sync for many files


def jobs_of(plan: Plan, client: Client, number: int) -> list[Job]:
    """What the client with this number does, in this order."""
    chance = random.Random(f"{plan.seed} jobs {number}")
    jobs: list[Job] = []
    for _ in range(plan.rounds):
        for way, largest in WAYS.items():
            jobs.append(partial(_upload, client, way, _size(largest, chance), deleted=chance.random() < 0.2))
        sizes = [_size(128 * KIB, chance) for _ in range(2)]
        if plan.failing is None:  # what fails of a concatenation is tried again half a minute later
            jobs.append(partial(client.concatenate, sizes, early=chance.random() < 0.5))
        jobs.append(partial(client.upload_a_part_and_delete, _size(128 * KIB, chance)))
        jobs.append(partial(_burst, client, [(chance.choice(SMALL_WAYS), _size(SMALL, chance)) for _ in range(BURST)]))
    chance.shuffle(jobs)
    if plan.long and number == 0:
        jobs.insert(len(jobs) // 2, partial(client.upload, "one PATCH", LONG))
    return jobs


def work(plan: Plan, server: Server, watch: Watch, jobs: Sequence[Sequence[Job]]) -> None:
    """Do all the jobs, each list in a thread, while the server ends and starts as planned."""
    chance = random.Random(plan.seed)
    total, done = sum(map(len, jobs)), [0] * len(jobs)

    def carry_out(number: int) -> None:
        pauses = random.Random(f"{plan.seed} pauses {number}")
        for job in jobs[number]:
            job()
            done[number] += 1
            time.sleep(pauses.uniform(0, plan.pause))

    _fail(plan, watch)
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(carry_out, number) for number in range(len(jobs))]
        for count, ending in enumerate(plan.ends, 1):
            _await(partial(_reached, done, total * count / (len(plan.ends) + 1)), running)
            watch.fail_syncs(0)  # a server that cannot write to its database does not start
            _end(server, watch, ending, chance)
            _fail(plan, watch)
        for future in running:
            future.result()


def _fail(plan: Plan, watch: Watch) -> None:
    """Let syncs fail as planned from now on."""
    if plan.failing is not None:
        one_in, of = plan.failing
        watch.fail_syncs(one_in, of=of)


def _upload(client: Client, way: str, size: int, *, deleted: bool) -> None:
    story = client.upload(way, size)
    if deleted:
        client.delete(story)


def _burst(client: Client, uploads: Sequence[tuple[str, int]]) -> None:
    """So many small ones in a moment that one sync for all of them pays."""
    stories = [client.upload(way, size) for way, size in uploads]
    client.delete(stories[0])


def _size(largest: int, chance: random.Random) -> int:
    return math.floor(2 ** chance.uniform(math.log2(largest) - 6, math.log2(largest))) if largest else 0


def _end(server: Server, watch: Watch, ending: Ending, chance: random.Random) -> None:
    if ending == "stop":
        assert server.stop() == 0, server.log()
    else:
        watch.die(after=chance.randint(0, 40))
        deadline = time.monotonic() + 5
        while server.running and time.monotonic() < deadline:  # one that does nothing can be killed between two calls
            time.sleep(0.005)
        server.kill()
        watch.live()
    server.restart()


def _reached(done: Sequence[int], count: float) -> bool:
    return sum(done) >= count


def _await(check: Callable[[], bool], running: Sequence["Future[None]"]) -> None:
    while not check() and not all(future.done() for future in running):
        if any(future.done() and future.exception() for future in running):
            return
        time.sleep(0.005)
