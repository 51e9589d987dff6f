"""The S3 store on a real MinIO against a plain model, through requests that end anywhere, kills and want of memory."""

import random
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from ferryman_protocol.model import Phase
from ferryman_server.digests import crc64
from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_writer import S3Writer
from tests.minio import Minio
from tests.server.storage.s3_rig import Place, committed, fill, finished, opened
from tests.support.buckets import fresh_bucket

MIB: Final = 1 << 20
SOURCE: Final = random.Random(11).randbytes(64 * MIB)
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
# a byte, some, nearly a part, a part, a part and a bit, several
SIZES: Final = st.sampled_from([1, 4096, 3 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB])


@dataclass
class _Model:
    upload_id: str
    seed: int  # where in SOURCE its bytes come from
    told: int = 0  # bytes
    written: int = 0
    known: bool = False  # whether its length was said at its creation
    writer: S3Writer | None = field(default=None, repr=False)


class S3Machine(RuleBasedStateMachine):
    """Uploads into one bucket by processes that come and go."""

    uploads: Bundle[_Model] = Bundle("uploads")

    def __init__(self, minio: Minio) -> None:
        super().__init__()
        self.place = Place(minio, fresh_bucket(minio), memory=24 * MIB)  # less than two uploads would like
        self.store: S3Store = self.place.store()
        self.models: list[_Model] = []
        self.finished: list[_Model] = []
        self.made = 0

    def teardown(self) -> None:
        """Everything that is over leaves nothing."""
        for model in self.models:
            self._close(model)
            self.store.discard(model.upload_id)
        for store in self.place.opened:
            store._senders.shutdown()  # what was abandoned clears up after itself
        expected = {self.place.shelf.entries[model.upload_id].target for model in self.finished}
        left = set(self.place.keys())
        assert expected <= left
        assert all("/tails/" in key for key in left - expected), left - expected
        for entry in self.place.shelf.entries.values():
            assert entry.target is not None
            assert s3_calls.open_uploads(self.store._client, entry.target) == []
        self.place.close()

    @rule(target=uploads, known=st.booleans(), seed=st.integers(0, 1000))
    def create(self, known: bool, seed: int) -> _Model:
        """A new upload, of a length that is known or not."""
        self.made += 1
        upload_id = "".join(LETTERS[self.made >> shift & 31] for shift in range(0, 130, 5))
        model = _Model(upload_id, seed, known=known)
        self.place.create(upload_id, length=len(SOURCE) if known else None)
        self.models.append(model)
        return model

    @rule(model=uploads, size=SIZES, memory_is_short=st.booleans(), flows=st.booleans(), says=st.booleans())
    def write(self, model: _Model, size: int, memory_is_short: bool, flows: bool, says: bool) -> None:
        """Bytes arrive, by a request under way or a new one, which may say how many it brings."""
        if model not in self.models or model.written > 24 * MIB:
            return
        if model.writer is None:
            ends_at = len(SOURCE) if says else None
            model.writer = opened(self.place, self.store, model.upload_id, ends_at=ends_at)
        piece = self._bytes(model, model.written, model.written + size)
        for start in range(0, size, MIB):
            if flows:
                fill(model.writer, piece[start : start + MIB])
            else:
                model.writer.write(piece[start : start + MIB])
            if memory_is_short and start == MIB:
                spill(self.store, model.writer)
        model.written += size

    @rule(model=uploads, waits=st.booleans())
    def commit(self, model: _Model, waits: bool) -> None:
        """A checkpoint of what is durable by itself, or of everything."""
        if model.writer is None:
            return
        if waits:
            assert model.writer.sync() == model.written
        offset = committed(self.place, model.writer, model.upload_id).mark.offset
        assert model.told <= offset <= model.written
        assert not waits or offset == model.written
        assert self.place.shelf.entries[model.upload_id].crc64 == crc64([self._bytes(model, 0, offset)])
        model.told = offset

    @rule(model=uploads)
    def end_a_request(self, model: _Model) -> None:
        """A request ends, or is superseded: what was not committed is dropped."""
        self._close(model)

    @rule()
    def kill(self) -> None:
        """The process dies."""
        dead = self.store
        for model in self.models:
            if model.writer is not None:
                model.writer._stop.set()  # what it was about to send is not sent …
                model.writer, model.written = None, model.told
        dead._senders.shutdown()  # … and what had left it arrives
        self.store = self.place.store()

    @rule(model=consumes(uploads), again=st.booleans())
    def finish(self, model: _Model, again: bool) -> None:
        """The upload ends; a crash may have its publication repeated."""
        if model not in self.models:
            return
        if model.writer is None:
            model.writer = opened(self.place, self.store, model.upload_id)
        finished(self.place, self.store, model.writer, model.upload_id)
        model.writer = None
        self.models.remove(model)
        self.finished.append(model)
        content = self._bytes(model, 0, model.written)
        assert self.place.content(model.upload_id) == content
        assert self.place.shelf.entries[model.upload_id].crc64 == crc64([content])
        if again:
            self.place.store().publish(model.upload_id, model.written)
            assert self.place.content(model.upload_id) == content

    @rule(model=consumes(uploads))
    def discard(self, model: _Model) -> None:
        """The upload is deleted."""
        if model in self.models:
            self._close(model)
            self.store.discard(model.upload_id)
            self.models.remove(model)

    @invariant()
    def told_offsets_are_what_the_books_say(self) -> None:
        """Nobody has to ask the bucket."""
        for model in self.models:
            assert max(self.store.tail(model.upload_id, 0), 0) == model.told
            assert self.place.shelf.entries[model.upload_id].upload.phase in (Phase.EMPTY, Phase.RECEIVING)

    def _bytes(self, model: _Model, start: int, stop: int) -> memoryview:
        assert stop <= len(SOURCE) - 1000
        return memoryview(SOURCE)[model.seed + start : model.seed + stop]

    def _close(self, model: _Model) -> None:
        if model.writer is not None:
            model.writer.close()
            model.writer, model.written = None, model.told


def spill(store: S3Store, writer: S3Writer) -> None:
    """What the budget does when memory is wanted."""
    memory = store._yard.memory
    with memory._changed:
        memory._coming += writer.spill()


def test_store_agrees_with_the_model(minio: Minio) -> None:
    """What is told is there after kills, finished objects are right byte for byte, and nothing is left over."""
    run_state_machine_as_test(
        lambda: S3Machine(minio),  # type: ignore[arg-type]  # it says a class, and takes what makes a machine
        settings=settings(max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
