"""What the steps do to the server, its disk and the network."""

import contextlib
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tests.crash import checks, questions, sockets
from tests.crash.bad_disk import Trouble
from tests.crash.in_minio import InMinio
from tests.crash.ledger import Flight
from tests.crash.outages import held_back, outage
from tests.crash.rivals import Rivals
from tests.crash.scene import Scene, now
from tests.crash.schedule import Kind, Step
from tests.crash.weather import STORE, Ill
from tests.support.small_disk import fill, lift_file_limit

ALONE: Final = 45.0  # seconds until everybody has noticed that the server is gone
GRACE: Final = 25.0  # seconds for a graceful stop: its time-out, the last writes, a slow machine
_READINGS: Final = 40  # until two of them agree


class Faults:
    """Carries steps out."""

    def __init__(self, scene: Scene, plan_has_disk: bool, meddle: Callable[[], None] = lambda: None) -> None:
        """`meddle` is called while the server is down: a test of the machine itself spoils something then."""
        self._scene = scene
        self._own_disk = plan_has_disk
        self._meddle = meddle
        self._control = scene.server.data.parent / "bad-disk"
        self.base: list[str] = []  # what an idle server has open

    def carry_out(self, step: Step, chance: random.Random) -> None:
        """Do it, and come back when it is over."""
        match step.kind:
            case Kind.KILL | Kind.MEASURED_KILL | Kind.KILL_TWICE | Kind.STOP:
                self._end(step)
            case Kind.ILL_AND_KILL:
                with self._trouble(step.trouble):
                    time.sleep(step.lasts)
                    quiet = replace(step.trouble, fail_folders=0.0)  # or it would refuse to start
                    self._end(step, lambda: self._say(quiet))
            case Kind.SLOW | Kind.FAILING:
                with self._trouble(step.trouble):
                    time.sleep(step.lasts)
            case Kind.FULL | Kind.FULL_AND_KILL:
                self._full(step)
            case Kind.FREEZE:
                with self._scene.weather.spell(Ill.FROZEN):
                    os.kill(self._scene.server.pid, signal.SIGSTOP)
                    time.sleep(step.lasts)
                    os.kill(self._scene.server.pid, signal.SIGCONT)
            case Kind.STALL:
                with self._scene.weather.spell(Ill.NETWORK):
                    self._scene.proxy.stall()
                    time.sleep(step.lasts)
                    self._scene.proxy.resume()
            case Kind.CUT:
                with self._scene.weather.spell(Ill.NETWORK):
                    self._scene.proxy.cut_all()
                    time.sleep(0.05)
            case Kind.STALLED_RIVAL | Kind.FAST_RIVAL:
                Rivals(self._scene, chance).take_over(stalled=step.kind is Kind.STALLED_RIVAL)
            case Kind.DELETE:
                self._delete(chance)
            case Kind.REST:
                self.rest()
            case Kind.LATE_AND_KILL:
                self._late(step, chance)
            case _:
                self._outage(step, chance)

    def start(self) -> None:
        """The first start."""
        self._scene.server.start()
        self.base = checks.descriptors(self._scene)

    def rest(self) -> None:
        """Let everybody wait, and look at what the idle server holds on to."""
        with self._scene.weather.spell(Ill.NETWORK):
            self._scene.proxy.cut_all()
            time.sleep(0.02)
        with self._scene.gate.closed(ALONE) as alone:
            if not alone:
                raise self._scene.ledger.broken(f"requests are still under way after {ALONE:.0f} s")
            for connection in list(self._scene.idle):  # a server closes these only after a while
                with contextlib.suppress(OSError):  # reset meanwhile
                    connection.shutdown(socket.SHUT_RDWR)
            checks.check_descriptors(self._scene, self.base)

    # -- the process ---------------------------------------------------------------------------------------------------

    def _end(self, step: Step, before_start: Callable[[], object] = lambda: None) -> None:
        """End the server, start it again, and check everything before anybody else asks."""
        scene = self._scene
        checks.check_process(scene)
        consumed: dict[Flight, int] = {}
        with scene.weather.spell(Ill.DEAD):
            if step.kind is Kind.STOP:
                self._stop()
            elif step.kind is Kind.MEASURED_KILL:
                consumed = self._measured_kill()
            else:
                self._kill()
            with scene.gate.closed(ALONE) as alone:
                if not alone:
                    raise scene.ledger.broken(f"requests are under way {ALONE:.0f} s after the server's end")
                self._meddle()
                if step.kind is Kind.KILL_TWICE:
                    scene.server.launch()
                    time.sleep(step.lasts / 2)
                    self._kill()
                before_start()
                began = now()
                scene.server.restart()
                if not scene.weather.since(began, *STORE):
                    scene.figures.measure("restart", now() - began)
                checks.check_process(scene)
                self.base = checks.descriptors(scene)
                checks.check_start(scene, consumed)

    def _kill(self) -> None:
        self._scene.figures.count("kills")
        self._scene.server.kill()

    def _stop(self) -> None:
        began = now()
        status = self._scene.server.stop()
        self._scene.figures.count("stops")
        self._scene.figures.measure("stop", now() - began)
        if status or now() - began > GRACE:
            raise self._scene.ledger.broken(f"a graceful stop took {now() - began:.1f} s and ended with {status}")

    def _measured_kill(self) -> dict[Flight, int]:
        """Stop the process, count what it has read of each plain body, and kill it."""
        os.kill(self._scene.server.pid, signal.SIGSTOP)
        flights = [flight for flight in self._scene.ledger.under_way() if flight.direct and flight.plain]
        consumed = self._consumed(flights)
        self._kill()
        return consumed

    def _consumed(self, flights: list[Flight]) -> dict[Flight, int]:
        """How far the server, which does not run, has read. Needs a moment in which nothing moves in the kernel."""
        read: dict[Flight, int] = {}
        seen: dict[Flight, tuple[int, int]] = {}
        for _ in range(_READINGS):
            raw = {flight: flight.raw for flight in flights}
            kept = sockets.held(self._scene.server.port, {flight.port for flight in flights})
            for flight in flights:
                reading = (raw[flight], kept[flight.port])
                if seen.get(flight) == reading and flight.raw == raw[flight]:
                    read[flight] = flight.sent.start + max(0, reading[0] - reading[1] - flight.head)
                seen[flight] = reading
            if len(read) == len(flights):
                break
            time.sleep(0.005)
        return read

    # -- the disk ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _trouble(self, trouble: Trouble) -> Iterator[None]:
        """A disk that is slow or fails, seen by whatever process runs meanwhile."""
        self._scene.figures.count("disk faults")
        failing = trouble.fail_files or trouble.fail_folders
        with self._scene.weather.spell(Ill.FAILING if failing else Ill.SLOW):
            self._say(trouble)
            try:
                yield
            finally:
                self._control.unlink()

    def _say(self, trouble: Trouble) -> None:
        """Tell the server's disk; in one go, since it may be reading."""
        said = self._control.with_suffix(".new")
        said.write_text(str(trouble), encoding="ascii")
        said.rename(self._control)

    def _full(self, step: Step) -> None:
        """No file may grow, or the disk has no block left; there is room again before the server starts again."""
        self._scene.figures.count("disk faults")
        with self._scene.weather.spell(Ill.FULL), contextlib.ExitStack() as stack:
            if self._own_disk:
                stack.callback(fill(self._scene.data).unlink)
            else:
                resource.prlimit(self._scene.server.pid, resource.RLIMIT_FSIZE, (step.room, resource.RLIM_INFINITY))
                stack.callback(lift_file_limit, self._scene.server)
            time.sleep(step.lasts)
            if step.kind is Kind.FULL_AND_KILL:
                self._end(step, stack.close if self._own_disk else stack.pop_all)

    # -- MinIO ---------------------------------------------------------------------------------------------------------

    def _outage(self, step: Step, chance: random.Random) -> None:
        """MinIO is away or fails; it is well again before the server starts again."""
        place, scene = self._scene.place, self._scene
        assert isinstance(place, InMinio)
        scene.figures.count("store faults")
        with contextlib.ExitStack() as stack:
            stack.enter_context(scene.weather.spell(Ill.AWAY))
            stack.enter_context(outage(place, step.kind, chance, self._note))
            time.sleep(step.lasts)
            if step.kind in (Kind.AWAY_AND_KILL, Kind.BUSY_AND_KILL, Kind.DEAF_AND_KILL):
                self._end(step, stack.close)

    def _late(self, step: Step, chance: random.Random) -> None:
        """The next server works already when MinIO gets what the killed one had sent."""
        place, scene = self._scene.place, self._scene
        assert isinstance(place, InMinio)
        scene.figures.count("store faults")
        with held_back(place, chance, self._note) as let_by:
            with scene.weather.spell(Ill.AWAY):
                time.sleep(step.lasts)
            self._end(step, let_by)
            time.sleep(chance.uniform(0.0, 0.5))

    def _note(self, what: str) -> None:
        self._scene.ledger.note(f"step: {what}")

    # -- uploads -------------------------------------------------------------------------------------------------------

    def _delete(self, chance: random.Random) -> None:
        """Delete an upload that is just being sent, if there is one."""
        flights = [flight for flight in self._scene.ledger.under_way() if flight.upload.known]
        flights = [flight for flight in flights if not flight.upload.partial]
        if flights:
            questions.delete(self._scene, chance.choice(flights).upload)
