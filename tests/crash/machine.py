"""The crash machine: clients at work, a schedule of things that go wrong, and checks after each of them."""

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.crash import checks
from tests.crash.checks import BAD_DISK
from tests.crash.client import Client
from tests.crash.faults import Faults
from tests.crash.figures import Figures
from tests.crash.in_minio import in_minio
from tests.crash.ledger import Broken
from tests.crash.observers import Observer
from tests.crash.places import Place, on_disk
from tests.crash.scene import Scene
from tests.crash.schedule import Plan
from tests.crash.tints import Tints
from tests.support.process import Server
from tests.support.proxy import Proxy

OBSERVERS = 2
REMARKS = 20  # lines
LAST_UPLOADS = 110.0  # seconds in which everybody has to come to an end


def run(plan: Plan, folder: Path, *, meddle: Callable[[Scene], None] = lambda scene: None) -> Figures:
    """Carry a plan out in an empty folder. Raises Broken, with the seed and all steps, at the first broken promise.

    `meddle` is called whenever the server is down: a test of the machine itself spoils something then."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(_place(plan, folder))
        program = ("-P", str(BAD_DISK))
        server = Server(folder / "data", *plan.flags, prefix=place.prefix, program=program, env=place.env)
        stack.callback(server.close)
        return _Machine(plan, server, place, meddle).run()


def _place(plan: Plan, folder: Path) -> contextlib.AbstractContextManager[Place]:
    return in_minio(folder) if plan.into == "minio" else on_disk(folder, plan.small_disk)


class _Machine:
    """One run."""

    def __init__(self, plan: Plan, server: Server, place: Place, meddle: Callable[[Scene], None]) -> None:
        self._plan = plan
        self._server = server
        self._place = place
        self._meddle = meddle

    def run(self) -> Figures:
        """Everything, from the first start to the reaper."""
        self._server.start()
        with Proxy(self._server.port) as proxy:
            plan = self._plan
            scene = Scene(seed=plan.seed, server=self._server, proxy=proxy, place=self._place, tints=Tints(plan.seed))
            faults = Faults(scene, plan.small_disk is not None, lambda: self._meddle(scene))
            faults.base = checks.descriptors(scene)
            try:
                with self._workers(scene):
                    self._steps(scene, faults)
                self._conclude(scene, faults)
            except (AssertionError, OSError) as failure:
                said = "\n".join(["  what the server said:", *_remarks(self._server)])
                raise Broken(f"{scene.ledger.failure or failure}\n{said}\n\n{plan}") from failure
            scene.figures.count("connection faults", proxy.fulfilled)
            return scene.figures

    def _steps(self, scene: Scene, faults: Faults) -> None:
        for number, step in enumerate(self._plan.steps, 1):
            if scene.ledger.over.wait(step.after):
                break
            scene.ledger.note(f"step {number}: {step}")
            faults.carry_out(step, random.Random(f"{self._plan.seed} carried out {number}"))
            self._check(scene)

    def _check(self, scene: Scene) -> None:
        """What is checked after each step, while everybody works on."""
        checks.check_process(scene)
        checks.check_folder(scene)
        for upload in list(scene.ledger.uploads):
            if upload.open:
                scene.place.check_prefix(scene, upload)

    def _conclude(self, scene: Scene, faults: Faults) -> None:
        """Everybody has come to an end: look at the idle server, at every finished upload, and at what is left."""
        if scene.ledger.failure is not None:
            raise scene.ledger.failure
        faults.rest()
        self._check(scene)
        checks.check_finished(scene)
        status = self._server.stop()
        if status:
            raise scene.ledger.broken(f"the last stop ended with {status}")
        checks.check_end(scene)

    @contextlib.contextmanager
    def _workers(self, scene: Scene) -> Iterator[None]:
        """Clients and observers at work for the length of the `with`; afterwards they finish what they began."""
        workers = [
            *(("client", Client(scene, number).run) for number in range(1, self._plan.clients + 1)),
            *(("observer", Observer(scene, number).run) for number in range(1, OBSERVERS + 1)),
        ]
        threads = [
            threading.Thread(target=_watched, args=(scene, work), name=f"{name} {number}", daemon=True)
            for number, (name, work) in enumerate(workers, 1)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            scene.ledger.over.set()
            deadline = time.monotonic() + LAST_UPLOADS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        late = [thread.name for thread in threads if thread.is_alive()]
        if late:
            raise scene.ledger.broken(f"{', '.join(late)} did not come to an end")


def _remarks(server: Server) -> list[str]:
    """The last lines of its log that are not about everyday things."""
    return [line for line in list(server.lines) if '"level": "info"' not in line][-REMARKS:]


def _watched(scene: Scene, work: Callable[[], None]) -> None:
    """What a worker raises ends the run."""
    try:
        work()
    except Broken:
        pass  # the ledger has it
    except Exception as failure:
        scene.ledger.broken(f"{threading.current_thread().name} does not know what to make of {failure!r}")
        raise


def run_in_new_folder(plan: Plan) -> Figures:
    """Carry a plan out in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ferryman-crash-") as folder:
        return run(plan, Path(folder))
