"""A Hypothesis machine that holds a store against a plain model, through kills, power cuts and failing disks.

The model knows, for each upload, every byte that was written and how many of them were told to be durable. After a
power cut the bytes beyond that may be there or not: nothing is asserted about them, and the next writer cuts them off.
It also plays the database that remembers kept contents until they are written out. Needs Hypothesis. A backend
overrides `make_rig` and hands `<Subclass>.TestCase` to pytest.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ferryman_server.storage.base import Concatenates, KeepsSmall, Settles, SyncFailed, Writer
from ferryman_server.storage.testing_rig import Rig, received

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_MANY: Final = st.integers(0, 1 << 20)  # taken modulo what is there
_PIECES: Final = st.one_of(st.binary(max_size=40), st.binary(min_size=1, max_size=3).map(lambda unit: unit * 5000))


@dataclass
class _Model:
    """What is known about one upload."""

    upload_id: str
    content: bytes = b""  # all that was written
    durable: int | None = None  # bytes told to be durable; None: none were, so a power cut may take the upload whole
    certain: bool = True  # nothing but `content` is there
    published: bool = False  # or complete: to be read as published
    loose: bool = False  # complete, and nobody knows for certain where its bytes lie
    small: bool = False  # it came whole, and was kept in memory and in the database
    writer: Writer | None = field(default=None, repr=False)

    def forget_volatile(self) -> None:
        """Only what is durable is certain from here on."""
        self.content = self.content[: self.durable or 0]
        self.certain = False
        self.writer = None


class StoreMachine(RuleBasedStateMachine):
    """See the module's docstring."""

    receiving: Bundle[_Model] = Bundle("receiving")
    finished: Bundle[_Model] = Bundle("finished")

    def __init__(self) -> None:
        super().__init__()
        self.models: list[_Model] = []
        self.kept: dict[str, _Model] = {}  # what the database remembers
        self.made = 0

    def make_rig(self) -> Rig:
        """A rig with an empty store; to be overridden by each backend."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Start with an empty store."""
        self.rig = self.make_rig()

    def teardown(self) -> None:
        """Free the rig."""
        for model in self.models:
            self._close(model)
        if hasattr(self, "rig"):
            self.rig.close()

    # uploads come and go

    @rule(target=receiving, crowd=st.booleans())
    def create(self, crowd: bool) -> _Model:
        """A new upload, sometimes in the same folder as others; ids are never used twice."""
        model = self._new(crowd)
        model.writer = self.rig.store.writer(model.upload_id, 0)
        return model

    @rule(model=consumes(receiving), twice=st.booleans())
    def discard(self, model: _Model, twice: bool) -> None:
        """An upload is deleted while it is received."""
        self._close(model)
        for _ in range(1 + twice):
            self.rig.store.discard(model.upload_id)
        assert self.rig.store.tail(model.upload_id, 0) == -1
        self.models.remove(model)

    @rule(model=consumes(finished))
    def discard_published(self, model: _Model) -> None:
        """A finished upload is deleted."""
        self.rig.store.discard(model.upload_id, published=True)
        self.models.remove(model)
        self.kept.pop(model.upload_id, None)

    # writing

    @rule(model=receiving, where=_MANY)
    def open_writer(self, model: _Model, where: int) -> None:
        """A newer request opens the upload at an offset that is known to be there."""
        self._close(model)
        offset = where % (len(model.content) + 1)
        model.writer = self.rig.store.writer(model.upload_id, offset)
        assert model.writer.written == offset
        model.content = model.content[:offset]
        model.durable = None if model.durable is None else min(model.durable, offset)
        model.certain = True

    @rule(model=receiving, piece=_PIECES)
    def write(self, model: _Model, piece: bytes) -> None:
        """Bytes arrive."""
        if model.writer is not None:
            model.writer.write(memoryview(piece))
            model.content += piece
            assert model.writer.written == len(model.content)

    @rule(model=receiving)
    def sync(self, model: _Model) -> None:
        """A checkpoint."""
        if model.writer is not None:
            model.durable = model.writer.sync()
            assert model.durable == len(model.content)

    @rule(model=receiving)
    def close_writer(self, model: _Model) -> None:
        """A request ends without a sync."""
        self._close(model)

    @rule(model=receiving, piece=_PIECES)
    def fail_a_sync(self, model: _Model, piece: bytes) -> None:
        """The disk refuses a sync once; the upload goes on from what was durable before."""
        if model.writer is None:
            return
        model.writer.write(memoryview(piece + b"!"))
        self.rig.fail_syncs(True)
        self._expect_dead(model.writer)
        self.rig.fail_syncs(False)
        self._expect_dead(model.writer)
        self._close(model)
        model.forget_volatile()

    # the end of an upload

    @rule(target=finished, model=consumes(receiving), where=_MANY, again=st.booleans())
    def finish(self, model: _Model, where: int, again: bool) -> _Model:
        """The upload ends at an offset that is durable, perhaps with more behind it, and is published."""
        self._close(model)
        length = where % ((model.durable or 0) + 1)
        for _ in range(1 + again):
            self.rig.store.publish(model.upload_id, length)
        assert self.rig.store.tail(model.upload_id, length) == -1
        model.content = model.content[:length]
        model.durable, model.certain, model.published = length, True, True
        return model

    @rule(model=finished)
    def publish_again(self, model: _Model) -> None:
        """A crash after the move makes a later process publish once more."""
        if not model.small:  # for a small one, no row ever says that it is to be published
            self.rig.store.publish(model.upload_id, len(model.content))
            model.loose = False

    @precondition(lambda self: isinstance(self.rig.store, Settles))
    @rule(target=finished, model=consumes(receiving), piece=_PIECES, now=st.booleans())
    def complete(self, model: _Model, piece: bytes, now: bool) -> _Model:
        """The upload ends with bytes that are durable where they were received, and is moved now or later."""
        self._close(model)
        start = model.durable or 0
        writer = self.rig.store.writer(model.upload_id, start)
        writer.write(memoryview(piece))
        model.durable = writer.sync()
        writer.close()
        model.content = model.content[:start] + piece
        model.certain = model.published = model.loose = True
        if now:
            self.settle(model)
        return model

    @precondition(lambda self: isinstance(self.rig.store, Settles))
    @rule(model=finished)
    def settle(self, model: _Model) -> None:
        """Somebody tidies up."""
        assert isinstance(self.rig.store, Settles)
        self.rig.store.settle(model.upload_id, len(model.content))
        if model.upload_id not in self.kept:
            assert self.rig.store.tail(model.upload_id, 0) == -1

    # small uploads

    @precondition(lambda self: isinstance(self.rig.store, KeepsSmall))
    @rule(target=finished, content=_PIECES, crowd=st.booleans(), left=st.booleans(), count=st.sampled_from([1, 1, 12]))
    def keep(self, content: bytes, crowd: bool, left: bool, count: int) -> MultipleResults[_Model]:
        """Small uploads come whole, perhaps after a request that left something."""
        made = [self._new(crowd) for _ in range(count)]
        for number, model in enumerate(made):
            if left:
                writer = self.rig.store.writer(model.upload_id, 0)
                writer.write(memoryview(b"left"))
                writer.close()
            model.content = content + bytes([number])
            model.published = model.certain = model.loose = model.small = True
            model.durable = len(model.content)  # in the database
            self.kept[model.upload_id] = model
        self._keep(made)
        return multiple(*made)

    @precondition(lambda self: self.kept)
    @rule(some=st.booleans())
    def write_out(self, some: bool) -> None:
        """What is kept becomes files: all of it, or every other one."""
        assert isinstance(self.rig.store, KeepsSmall)
        ids = list(self.kept)[:: 1 + some]
        done = self.rig.store.write_out(ids)
        assert sorted(done) == sorted(ids)
        for upload_id in done:
            del self.kept[upload_id]

    @precondition(lambda self: self.kept)
    @rule(forgetting=st.booleans())
    def fail_to_write_out(self, forgetting: bool) -> None:
        """The disk refuses syncs, or works and the database does not hear of it."""
        assert isinstance(self.rig.store, KeepsSmall)
        if forgetting:
            self.rig.store.write_out(list(self.kept))
            return
        self._keep(list(self.kept.values()))
        self.rig.fail_syncs(True)
        with suppress(SyncFailed):
            self.rig.store.write_out(list(self.kept))
            raise AssertionError("contents were told to be durable that are not")
        self.rig.fail_syncs(False)

    @precondition(lambda self: isinstance(self.rig.store, Concatenates))
    @rule(final=receiving, source=finished, where=_MANY)
    def concatenate(self, final: _Model, source: _Model, where: int) -> None:
        """A published upload is appended to one that is being assembled."""
        store = self.rig.store
        assert isinstance(store, Concatenates)
        self._close(final)
        offset = where % (len(final.content) + 1)
        store.concatenate(final.upload_id, offset, source.upload_id, len(source.content))
        final.content = final.content[:offset] + source.content
        final.durable, final.certain = len(final.content), True

    # what happens to the machine

    @rule()
    def kill(self) -> None:
        """The process dies: everything written stays."""
        writers = [model.writer for model in self.models if model.writer is not None]
        for model in self.models:
            model.writer = None
        self.rig.kill()
        for writer in writers:
            writer.close()
        self._keep(list(self.kept.values()))

    @rule()
    def power_cut(self) -> None:
        """The machine dies: everything durable stays."""
        for model in self.models:
            self._close(model)
            if not model.published:
                model.forget_volatile()
        self.rig.power_cut()
        self._keep(list(self.kept.values()))

    # what must hold

    @rule(model=finished, one=_MANY, other=_MANY)
    def read_a_range(self, model: _Model, one: int, other: int) -> None:
        """Any range of a finished upload reads right."""
        start, stop = sorted((one % (len(model.content) + 1), other % (len(model.content) + 1)))
        assert b"".join(self.rig.store.read(model.upload_id, start, stop)) == model.content[start:stop]

    @invariant()
    def uploads_are_what_the_model_says(self) -> None:
        """Every byte that must be there is there, and nothing else where that is certain."""
        for model in self.models:
            if model.published:
                assert b"".join(self.rig.store.read(model.upload_id, 0, len(model.content))) == model.content
                assert model.loose or self.rig.store.tail(model.upload_id, 0) == -1
            else:
                self._check_received(model)

    @invariant()
    def the_walk_finds_all(self) -> None:
        """The reaper's look-around misses nothing that must be there, and tells right sizes."""
        if hasattr(self, "rig"):
            found = {(stray.upload_id, stray.published): stray.size for stray in self.rig.store.strays()}
            assert found.keys() >= {(model.upload_id, model.published) for model in self._expected()}
            for model in self._expected():
                if model.certain:
                    assert found[model.upload_id, model.published] == len(model.content)
            for model in self.models:
                if model.loose and model.upload_id not in self.kept:
                    assert len(model.content) in (found.get((model.upload_id, place)) for place in (True, False))

    def _expected(self) -> Sequence[_Model]:
        there = [model for model in self.models if not model.loose]
        return [model for model in there if model.certain or model.durable is not None]

    def _new(self, crowd: bool) -> _Model:
        self.made += 1
        first = "aa" if crowd else _LETTERS[self.made % 32] + _LETTERS[self.made // 32 % 32]
        number = "".join(_LETTERS[self.made >> shift & 31] for shift in range(0, 120, 5))
        self.models.append(_Model(first + number))
        return self.models[-1]

    def _keep(self, models: Sequence[_Model]) -> None:
        if isinstance(self.rig.store, KeepsSmall):
            for model in models:
                self.rig.store.keep(model.upload_id, model.content)

    def _check_received(self, model: _Model) -> None:
        tail = self.rig.store.tail(model.upload_id, model.durable or 0)
        if model.certain:
            assert tail == len(model.content)
        elif model.durable is not None:
            assert tail >= model.durable
        if tail >= 0:
            assert received(self.rig.store, model.upload_id, len(model.content)) == model.content

    def _expect_dead(self, writer: Writer) -> None:
        for use in (writer.sync, lambda: writer.write(memoryview(b"?"))):
            try:
                use()
            except SyncFailed:
                continue
            raise AssertionError("a writer whose sync failed was used again")

    def _close(self, model: _Model) -> None:
        if model.writer is not None:
            model.writer.close()
            model.writer = None
