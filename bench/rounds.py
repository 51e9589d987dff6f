"""The servers take turns: round by round, in an order that rotates, after a warm-up round that does not count."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.bodies import Body, body_for
from bench.bucket import Depot
from bench.errors import CannotMeasure
from bench.known_uploads import prepare
from bench.measurement import Measurement
from bench.results import Outcome
from bench.scenarios import Scenario
from bench.servers import Server
from bench.settle import settle_disk
from bench.turn import take_turn

Say = Callable[[str], None]

# Bytes that a turn may leave on the disk until the last one is over. Some file systems (ext4 without a journal) look at
# each inode that was freed within the last minutes before they give out another: whoever makes files then pays for
# those that others deleted, ten times the price of a file.
SMALL: Final = 64 << 20


def measure(
    scenario: Scenario, servers: Sequence[Server], rounds: int, place: Path, say: Say, depot: Depot | None = None
) -> Outcome:
    """All rounds of one scenario. A turn that failed is kept with its reason, and the others go on.

    `depot` is there when the bytes go into MinIO.
    """
    asked = [server for server in servers if scenario.concerns(server)]
    unable = {server.name: why for server in asked if (why := scenario.unable(server))}
    able = [server for server in asked if server.name not in unable]
    outcome = Outcome(scenario=scenario, unable=unable, turns={server.name: [] for server in able}, failures={})
    if able:
        with fresh_folder(place) as above, ExitStack() as left:
            contest = _Contest(outcome, body_for(scenario), place, above, left, say, depot)
            contest.prepare(able)
            for number in range(rounds + 1):
                for server in rotated(able, number):
                    measurement = contest.turn(server, f"round {number} of {rounds}" if number else "warm-up")
                    if number:
                        outcome.turns[server.name].append(measurement)
    return outcome


def rotated(servers: Sequence[Server], number: int) -> list[Server]:
    """The order of a round: each begins with the next server, so that nobody always follows the same pause."""
    start = number % len(servers)
    return [*servers[start:], *servers[:start]]


@contextmanager
def fresh_folder(place: Path) -> Iterator[Path]:
    """A folder with an empty `data` in it; what is left of it is off the disk before this ends."""
    folder = Path(tempfile.mkdtemp(prefix="turn-", dir=place))
    (folder / "data").mkdir()
    settle_disk()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        settle_disk()


class _Contest:
    """One scenario under way; `above` is for what is made once and outlives the turns, `left` for what they leave."""

    def __init__(
        self,
        outcome: Outcome,
        body: Body,
        place: Path,
        above: Path,
        left: ExitStack,
        say: Say,
        depot: Depot | None,
    ) -> None:
        self._outcome, self._scenario = outcome, outcome.scenario
        self._body, self._place, self._above, self._left, self._say = body, place, above, left, say
        self._depot = depot

    def prepare(self, servers: Sequence[Server]) -> None:
        """Give each server the uploads that it is to know, where the scenario asks for that."""
        for server in servers if self._scenario.known else ():
            self._say(f"{self._scenario.name}: uploads for {server.name} to know")
            data = self._above / server.name / "data"
            data.mkdir(parents=True)
            try:
                prepare(server, self._scenario, self._body, data, data.with_name("paths"))
            except CannotMeasure as error:
                self._failed(server, "preparing", error)

    def turn(self, server: Server, when: str) -> Measurement | None:
        """One turn; None when it failed."""
        if self._scenario.known and server.name in self._outcome.failures:
            return None
        try:
            measurement = self._measure(server)
        except CannotMeasure as error:
            self._failed(server, when, error)
            return None
        self._say(f"{self._scenario.name}, {when}, {server.name}: {measurement.rate:,.0f} {self._scenario.unit}")
        return measurement

    def _measure(self, server: Server) -> Measurement:
        if self._scenario.known:
            data = self._above / server.name / "data"
            return take_turn(server, self._scenario, self._body, data, data.with_name("paths"))
        with ExitStack() as now:
            small = self._scenario.bytes_stored <= SMALL
            until = self._left if small else now
            folder = until.enter_context(fresh_folder(self._place))
            bucket = now.enter_context(self._depot.bucket(keep=small)) if self._depot else None
            return take_turn(server, self._scenario, self._body, folder / "data", None, bucket)

    def _failed(self, server: Server, when: str, error: CannotMeasure) -> None:
        self._outcome.failures.setdefault(server.name, f"{when}: {error}")
        self._say(f"{self._scenario.name}, {when}, {server.name}: failed: {error}")
