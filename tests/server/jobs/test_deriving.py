"""What is recorded of what the jobs process makes, and what becomes of it when the medium changes meanwhile."""

import io
import wave
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from ferryman_server.events import Event
from ferryman_server.jobs.deriving import Deriving
from ferryman_server.jobs.errors import WorkerDied
from ferryman_server.jobs.messages import Request
from ferryman_server.jobs.opening import Workplace
from ferryman_server.jobs.worker import Worker
from ferryman_server.media.derivatives import WAVEFORM, derive_job
from ferryman_server.settings import Settings
from tests.server.media_api_rig import Rig


def sound(samples: int = 4000) -> bytes:
    """A WAV file of half a second."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * samples))
    return out.getvalue()


class Meanwhile(Worker):
    """The jobs process, and something that happens before its answer is recorded."""

    def __init__(self, settings: Settings, happens: Callable[[], Awaitable[object]] | None = None) -> None:
        super().__init__(settings)
        self._happens = happens

    async def ask(self, request: Request) -> Mapping[str, Any]:
        """As it does it."""
        answer = await super().ask(request)
        if self._happens is not None:
            await self._happens()
        return answer


def workplace(rig: Rig) -> Workplace:
    """What does jobs there."""
    found = rig.house.workplace
    assert found is not None
    return found


def deriving(rig: Rig) -> Deriving:
    """The handler."""
    return workplace(rig).deriving


def heard(rig: Rig) -> list[Event]:
    """The events of derivatives, from now on."""
    events: list[Event] = []
    rig.house.events.subscribe(lambda event: events.append(event) if event.name == "derived" else None)
    return events


def kept(settings: Settings) -> list[str]:
    """What was made and lies in the store."""
    return sorted(file.name for file in (settings.data / "derived").rglob("*") if file.is_file())


async def test_what_is_made_is_recorded_and_told(rig: Rig, settings: Settings) -> None:
    """The row, what was found in the file, and an event for each."""
    events, tone = heard(rig), await rig.medium("tone.wav", sound())
    worker = Meanwhile(settings)
    await deriving(rig).do(derive_job(tone["upload"]), worker)
    await worker.stop()
    assert [dict(event.data) for event in events] == [
        {"slug": "tone", "generation": tone["generation"], "kind": WAVEFORM, "state": "ready"}
    ]
    told = await rig.get("/api/media/tone")
    assert (told["duration"], told["ready"]) == (0.5, [WAVEFORM])
    assert kept(settings) == [f"{tone['upload']}-{tone['generation']}-{WAVEFORM}"]


async def test_done_twice_is_as_good_as_once(rig: Rig, settings: Settings) -> None:
    """A server that died before it could forget the job does it again."""
    tone = await rig.medium("tone.wav", sound())
    worker = Meanwhile(settings)
    seen = set()
    for _ in range(2):
        await deriving(rig).do(derive_job(tone["upload"]), worker)
        (file,) = (file for file in (settings.data / "derived").rglob("*") if file.is_file())
        seen.add((file.stat().st_ino, (await rig.get("/api/media/tone"))["processing"][0]["updated_at"]))
    await worker.stop()
    assert len(seen) == 1
    assert (await rig.house.state.library.leftovers(9)).places == ()


async def test_what_is_deleted_meanwhile_leaves_nothing(rig: Rig, settings: Settings) -> None:
    """What was made for it is freed at once."""
    events, tone = heard(rig), await rig.medium("tone.wav", sound())
    worker = Meanwhile(settings, lambda: rig.client.delete("/api/media/tone"))
    await deriving(rig).do(derive_job(tone["upload"]), worker)
    await worker.stop()
    assert kept(settings) == []
    assert events == []


async def test_what_is_gone_starts_no_process(rig: Rig, settings: Settings) -> None:
    """Nor does what nothing is made of."""
    worker = Meanwhile(settings)
    gone = await rig.medium("tone.wav", sound())
    await rig.client.delete("/api/media/tone")
    await deriving(rig).do(derive_job(gone["upload"]), worker)
    assert not worker.running


async def test_what_is_given_up_is_told_of_all_that_is_missing(rig: Rig) -> None:
    """Nobody waits for it any more; and everybody can read why."""
    tone = await rig.medium("tone.wav", sound())
    medium = await rig.house.state.library.get("tone")
    assert medium is not None
    assert await deriving(rig).again(medium)
    events = heard(rig)
    await deriving(rig).give_up(derive_job(tone["upload"]), "it never ended")
    assert [event.data["state"] for event in events] == ["failed"]
    (told,) = (await rig.get("/api/media/tone"))["processing"]
    assert (told["kind"], told["state"], told["reason"]) == (WAVEFORM, "failed", "it never ended")


async def test_made_again_it_stays_in_its_place(rig: Rig, settings: Settings) -> None:
    """What was there is never taken for something that is left over."""
    tone = await rig.medium("tone.wav", sound())
    worker = Meanwhile(settings)
    await deriving(rig).do(derive_job(tone["upload"]), worker)
    medium = await rig.house.state.library.get("tone")
    assert medium is not None
    assert await deriving(rig).again(medium)
    assert (await rig.client.get(f"/media/tone/{WAVEFORM}")).status_code == 404
    assert (await rig.house.state.library.leftovers(9)).places == ()
    await deriving(rig).do(derive_job(tone["upload"]), worker)
    await worker.stop()
    assert (await rig.client.get(f"/media/tone/{WAVEFORM}")).status_code == 200


async def test_a_process_that_dies_is_the_jobs_failure(rig: Rig, settings: Settings) -> None:
    """The runner tries it again."""
    tone = await rig.medium("tone.wav", sound())
    worker = Worker(settings, command=["false"])
    with pytest.raises(WorkerDied):
        await deriving(rig).do(derive_job(tone["upload"]), worker)
