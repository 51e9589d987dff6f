"""Work that is asked for again and again."""

import threading

from ferryman_server.threads import Repeated
from tests.support.process import eventually


class Work:
    """Something that takes as long as the test wants; it notes how many do it at once."""

    def __init__(self) -> None:
        self.begun = self.ended = self.at_once = self.most_at_once = 0
        self.gate = threading.Semaphore(0)

    def __call__(self) -> None:
        """Do it once."""
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.gate.acquire(timeout=10)
        self.at_once -= 1
        self.ended += 1


def test_what_is_asked_for_meanwhile_is_done_once_more() -> None:
    """However often it was asked for; never by two threads at a time."""
    work = Work()
    repeated = Repeated(work)
    repeated.ask()
    eventually(lambda: work.begun == 1)
    for _ in range(10):
        repeated.ask()
    work.gate.release(2)
    eventually(lambda: work.ended == 2)
    assert (work.begun, work.most_at_once) == (2, 1)


def test_what_is_asked_for_later_is_done_again() -> None:
    """Nothing that was asked for before counts for it."""
    work = Work()
    repeated = Repeated(work)
    for count in (1, 2, 3):
        repeated.ask()
        work.gate.release()
        eventually(lambda reached=count: work.ended == reached)  # type: ignore[misc]


def test_every_asking_is_followed_by_the_work() -> None:
    """From several threads at once: what was asked for last is not lost between two rounds."""
    asked = done = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal done
        with lock:
            done = asked

    repeated = Repeated(work)

    def ask() -> None:
        nonlocal asked
        for _ in range(1000):
            with lock:
                asked += 1
            repeated.ask()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: done == 4000)
