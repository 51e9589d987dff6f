"""Jobs as durable workflows: DBOS keeps what each step came to, so that a job goes on where a crash has cut it off.

What DBOS keeps lies in `jobs.db` beside the state. All of it can be lost: the server's outbox knows what is to be done,
and asks again. A workflow that has ended is forgotten as soon as it was told.

A workflow is taken up once by itself when a process starts; one over which the next process died too is left alone.
Steps are repeated where the store or the state is away; what is wrong with a medium is a result, not an error.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog
from dbos import DBOS, DBOSConfig, SetWorkflowID, error
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from ferryman_server.jobs import derivation, extraction
from ferryman_server.jobs.messages import Answer, Request
from ferryman_server.settings import Settings

log = structlog.get_logger("ferryman.jobs")

Result: TypeAlias = Mapping[str, Any]  # of a step: values that JSON has

DATABASE: Final = "jobs.db"
TRIES: Final = 5  # of a step, 1, 2, 4 and 8 seconds apart
_TAKEN_UP: Final = 1  # times
_STEPS_VERSION: Final = "1"  # rises when workflows get other steps: what was begun before is begun anew then
_UNREADABLE: Final = (error.DBOSException, SQLAlchemyError, sqlite3.Error)
_OVER: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


class Engine:
    """DBOS, with the workflows that there are. One in a process."""

    def __init__(self, settings: Settings) -> None:
        """Not open yet."""
        self._settings = settings
        self._open = False
        self._turn = threading.Lock()  # one step at a time: each may take what memory there is
        self._workflows = self._defined()

    def open(self) -> None:
        """Take up what an earlier process has left. Idempotent."""
        if self._open:
            return
        self._open = True
        path = self._settings.data / DATABASE
        try:
            self._launch(path)
        except _UNREADABLE as failure:
            log.warning(
                "what was known of jobs cannot be read; they are begun anew", file=str(path), error=str(failure)
            )
            DBOS.destroy()
            _put_aside(path)
            self._launch(path)
        over = DBOS.list_workflows(status=_OVER, load_input=False, load_output=False)
        DBOS.delete_workflows([workflow.workflow_id for workflow in over])

    def rest(self) -> None:
        """Nothing is to be done: end what DBOS does all the time, for a hundredth of a processor. Idempotent."""
        if self._open:
            DBOS.destroy()
        self._open = False

    def run(self, request: Request) -> Answer:
        """Do what is asked for, or find out what came of it."""
        self.open()
        workflow = self._workflows.get(request.kind)
        if workflow is None:
            return Answer(failed=f"there are no jobs of the kind {request.kind}")
        known_as = request.workflow_id
        try:
            with SetWorkflowID(known_as):
                handle = DBOS.start_workflow(workflow, request.key, dict(request.data))
            return Answer(result=handle.get_result())
        except Exception as failure:  # whatever it is: the server is told, and tries again
            return Answer(failed=str(failure) or type(failure).__name__)
        finally:
            with suppress(*_UNREADABLE):  # else it is forgotten at the next start
                DBOS.delete_workflow(known_as)

    def _launch(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")  # DBOS leaves it as it is: readers would wait for writers
        config: DBOSConfig = {
            "name": "ferryman",
            "system_database_url": URL.create("sqlite", database=str(path)).render_as_string(),
            "application_version": _STEPS_VERSION,
            "executor_id": "jobs",
            "enable_otlp": False,
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()

    def _defined(self) -> Mapping[str, Callable[[str, Mapping[str, Any]], Result]]:
        """The workflows, each of which takes a key and data, and their steps."""

        @DBOS.step(name="facts", retries_allowed=True, max_attempts=TRIES)
        def facts(upload_id: str, generation: int) -> Result:
            return self._do(derivation.facts(self._settings, upload_id, generation))

        @DBOS.step(name="make", retries_allowed=True, max_attempts=TRIES)
        def make(upload_id: str, generation: int, kind: str) -> Result:
            return self._do(derivation.make(self._settings, upload_id, generation, kind))

        @DBOS.step(name="write frames")
        def write_frames(slug: str, generation: int, folder: str) -> Result:
            return self._do(extraction.extract(self._settings, slug, generation, Path(folder)))

        @DBOS.workflow(name="derive", max_recovery_attempts=_TAKEN_UP)
        def derive(upload_id: str, data: Mapping[str, Any]) -> Result:
            generation, kinds = data["generation"], data["kinds"]
            found = facts(upload_id, generation) if data["facts"] else {}
            return {"facts": found, "made": [make(upload_id, generation, kind) for kind in kinds]}

        @DBOS.workflow(name="extract", max_recovery_attempts=_TAKEN_UP)
        def extract(slug: str, data: Mapping[str, Any]) -> Result:
            return write_frames(slug, data["generation"], data["folder"])

        return {"derive": derive, "extract": extract}

    def _do(self, work: Coroutine[None, None, Result]) -> Result:
        with self._turn:
            return asyncio.run(work)


def _put_aside(path: Path) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        path.replace(path.with_name(f"{path.name}.broken"))
