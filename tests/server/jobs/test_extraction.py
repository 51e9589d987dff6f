"""Extracting a film as a job: what the server is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ferryman_server.jobs.extracting import EXTRACT, ExtractJobs
from ferryman_server.jobs.extraction import extract
from ferryman_server.jobs.worker import Worker
from ferryman_server.media.extraction import ExtractionFailed
from ferryman_server.settings import Settings
from ferryman_server.state.media import Medium
from ferryman_server.state.outbox import Job, Outbox
from ferryman_server.state.sqlite import SqliteState
from tests.server.media_api_rig import Rig


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    """One that the running server does not look into: it would do the jobs itself."""
    state = SqliteState(tmp_path / "outbox.db", store_id="s")
    await state.open()
    yield state.outbox
    await state.close()


async def film(rig: Rig) -> Medium:
    """A film of three frames."""
    await rig.medium()
    medium = await rig.house.state.library.get("film")
    assert medium is not None
    return medium


async def written(settings: Settings, slug: str, generation: int, folder: Path) -> dict[str, Any]:
    """What comes of it, in a thread with a loop of its own: as the jobs process does it."""
    return dict(await asyncio.to_thread(lambda: asyncio.run(extract(settings, slug, generation, folder))))


async def test_frames_are_written_once(rig: Rig, settings: Settings, tmp_path: Path) -> None:
    """What is there already is not written again."""
    medium, folder = await film(rig), tmp_path / "out"
    assert await written(settings, "film", medium.generation, folder) == {"frames": 3}
    before = folder.stat().st_ino
    assert await written(settings, "film", medium.generation, folder) == {"frames": 3}
    assert folder.stat().st_ino == before
    assert len(list((folder / "frames").iterdir())) == 3


async def test_a_generation_that_is_gone_is_told(rig: Rig, settings: Settings, tmp_path: Path) -> None:
    """Somebody was quicker."""
    medium = await film(rig)
    told = await written(settings, "film", medium.generation + 5, tmp_path / "out")
    assert "no generation" in told["reason"]
    assert not told["no_room"]


async def test_a_folder_of_somebody_else_is_left_alone(rig: Rig, settings: Settings, tmp_path: Path) -> None:
    """And named."""
    medium, folder = await film(rig), tmp_path / "out"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    told = await written(settings, "film", medium.generation, folder)
    assert str(folder) in told["reason"]
    assert (folder / "letter.txt").read_text() == "mine"


async def test_who_waits_for_it_is_told(rig: Rig, settings: Settings, outbox: Outbox, tmp_path: Path) -> None:
    """That it is there, or why not; the job is done with either way."""
    medium, put_in = await film(rig), asyncio.Event()
    jobs, worker = ExtractJobs(outbox, put_in.set), Worker(settings)

    async def done(folder: Path, by: Worker) -> None:
        put_in.clear()
        waiting = asyncio.create_task(jobs.extract(medium, folder))
        await put_in.wait()
        job = Job(EXTRACT, "film", f'{{"generation": {medium.generation}, "folder": "{folder}"}}')
        assert job in [queued.job for queued in await outbox.jobs(9)]
        await jobs.do(job, by)
        await waiting

    await done(tmp_path / "out", worker)
    assert (tmp_path / "out/metadata.json").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("mine")
    with pytest.raises(ExtractionFailed, match="mine"):
        await done(tmp_path / "mine", worker)
    await worker.stop()
    with pytest.raises(ExtractionFailed, match="exit code"):
        await done(tmp_path / "other", Worker(settings, command=["false"]))


async def test_a_job_that_nobody_waits_for_is_done(
    rig: Rig, settings: Settings, outbox: Outbox, tmp_path: Path
) -> None:
    """An earlier server has left it."""
    medium = await film(rig)
    jobs, worker = ExtractJobs(outbox, lambda: None), Worker(settings)
    data = f'{{"generation": {medium.generation}, "folder": "{tmp_path / "out"}"}}'
    await jobs.do(Job(EXTRACT, "film", data), worker)
    await worker.stop()
    assert (tmp_path / "out/metadata.json").exists()
