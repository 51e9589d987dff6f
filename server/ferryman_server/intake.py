"""Where the bytes of one request go, in a worker thread: decode → digest → store.

An intake is the sink that a body is poured into. After each piece its `mark` says how far the stored bytes reach and
what their CRC64/NVME is (in a store whose books the state keeps, they say that); the event loop's side
(:mod:`ferryman_server.transfer`) makes marks durable and commits them. Of a body so fast that this would hold it up,
the marks between two commits are left in the store instead, by a thread that needs neither the event loop nor the
state.

The last byte is held back until the end of the body was seen and nothing spoke against it (its digests, the guard):
that of a body whose end cannot be known beforehand (chunked or coded), and of one that completes the upload by reaching
its length. So neither a checkpoint nor the tail that a killed process leaves ever reaches the length of an upload that
is not complete by that: a tus client would take it for complete and never come back.
"""

from collections.abc import Callable

from ferryman_protocol.commands import Admission, Content
from ferryman_server.decoding import decoder
from ferryman_server.digests import Crc64, Verifier
from ferryman_server.margin import Margin
from ferryman_server.read_along import Along
from ferryman_server.state.base import Record
from ferryman_server.storage.base import Mark, Marks, ReadAlong, Roomy, Store, StoreError, Writer
from ferryman_server.storage.ledger import KeepsNoBooks, Noting
from ferryman_server.threads import Repeated


class Intake:
    """The sink of one request."""

    def __init__(
        self,
        *,
        store: Store,
        record: Record,
        admission: Admission,
        content: Content,
        fence: int = 0,
        on_durable: Callable[[], None] = lambda: None,
    ) -> None:
        """`fence`: of the lease under which it is written. `on_durable` is called from other threads when bytes have
        become durable by themselves, in a store where they do."""
        self.mark = Mark(record.upload.offset, record.crc64)
        self.marked: Mark | None = None  # the last mark that is durable
        self.verifier = Verifier.of(content.checksum, content.digests)
        self._store = store
        self._fence = fence
        self._on_durable = on_durable
        self._upload_id = record.upload.id
        self._crc = Crc64(record.crc64)
        self._writer: Writer | None = None
        self.noting: Noting | None = None  # the writer, if its books have to be committed with each offset
        self._roomy: Roomy | None = None  # the writer, if bytes can be put into its memory
        self._lent: memoryview | None = None  # what it has lent
        self._plain = content.coding == "identity"  # bytes are stored as they come
        self._decoder = decoder(content.coding, self._take, admission.room)
        brings = content.length if self._plain else None  # bytes; None: its end will tell
        self._hold_at = admission.room if brings is None or admission.finishes_at_length else None
        self._ends_at = None if brings is None else record.upload.offset + brings
        self._taken = 0
        self._held = b""
        self._margin: Margin | None = None
        self._marking = Repeated(self._make_mark)
        self._unmarked: Callable[[], None] = _nothing  # has a commit made instead of a mark
        self._along: Along | None = None
        self._closed = self._concluded = False

    @property
    def offset(self) -> int:
        """Where the next byte is stored."""
        return self.mark.offset

    @property
    def reach(self) -> int:
        """The offset after everything that was taken, a byte held back included."""
        return self.mark.offset + len(self._held)

    def keep_near(self, most: int, commit: Callable[[], None]) -> None:
        """Never store more than `most` bytes (or one piece) beyond what is durable: a power cut costs no more. `commit`
        is called from a worker thread, where the store keeps no marks, to have what is stored committed."""
        self._unmarked = commit
        self._margin = Margin(most, self.mark.offset, self._ends_at, self._fall_due)

    def read_along(self, *, archive: bool, on_archive: Callable[[], None], commit: Callable[[], None]) -> None:
        """Have commits made for somebody who reads along, if the upload is an archive; `archive` says whether what is
        there already is one, `on_archive` is told that what comes is. Both are called from a worker thread."""
        self._along = Along(self.mark.offset, archive=archive, on_archive=on_archive, commit=commit)

    @property
    def archive(self) -> bool | None:
        """Whether the upload begins as an archive does; None: its beginning was not seen here."""
        return None if self._along is None else self._along.archive

    def committed(self, offset: int) -> None:
        """So far it is durable, and committed."""
        if self._margin is not None:
            self._margin.durable(offset)
        if self.noting is not None:
            self.noting.committed()

    def give_up(self) -> None:
        """Nothing will be made durable any more: let a thread go that waits for it."""
        if self._margin is not None:
            self._margin.give_up(self.mark.offset)

    def write(self, piece: memoryview) -> None:
        """Take one piece of the body. Raises what decoding, the room or the store refuse."""
        if self.verifier is not None:
            self.verifier.update(piece)
        self._decoder.feed(piece)

    @property
    def opened(self) -> bool:
        """Whether anything was stored, so that there is a handle to be closed."""
        return self._writer is not None

    def lend(self) -> memoryview | None:
        """Memory of the store's writer, where it has some and the bytes are stored as they come."""
        if self._plain:
            self._ready()
        self._lent = self._roomy.space() if self._roomy is not None else None
        return self._lent

    def take_back(self) -> None:
        """Nothing more is put into what was lent last."""
        if self._lent is not None and self._roomy is not None:
            self._lent = None
            self._roomy.filled(0)

    def leave_off(self) -> None:
        """The body is stopped: let a thread go that waits for memory of the store's writer."""
        if self._roomy is not None:
            self._roomy.leave_off()

    def finish(self) -> None:
        """The end of the body was seen: check that the coding ended too. Nothing to do for a body without one."""
        self._decoder.finish()

    @property
    def concluded(self) -> bool:
        """Whether `conclude` has made all durable: nothing is left to be synced, and nothing more comes."""
        return self._concluded

    def conclude(self) -> None:
        """The last byte was taken: make all durable and let go of the store's handle, unless a byte is held back, or
        there is more to it than that. Raises SyncFailed."""
        if not self._held and self.noting is None:
            self.sync()
            self._concluded = True  # before it is closed: an observer's sync may come in between
            self.close()

    def sync(self, *, whole: bool = False, last: bool = False) -> Mark:
        """Make what is stored durable; the mark is true from here on (its CRC only where the store keeps books). Raises
        SyncFailed, and StoreError when closed without that: what was not durable by then may have been cut off.

        `whole`: nothing speaks against the body, so the byte held back is stored first; raises what the store refuses.
        `last`: that is all of the upload.
        """
        if whole and self._held:
            self._margin = None  # what makes it durable is under way
            self._put(memoryview(self._held))
            self._held = b""
        mark = self.mark
        if self._concluded:
            return mark
        if self._closed:
            raise StoreError("the request has ended; what it left is not made durable any more")
        noting = self.noting
        if noting is not None and last:
            noting.complete()
        elif self._writer is not None:
            self._writer.sync()
        return mark

    def rest(self) -> None:
        """Hold no resources of the store until more is taken, if everything that was taken is durable."""
        if self._writer is not None:
            self._writer.rest()

    def close(self) -> None:
        """Let go of the store's handle."""
        if self._writer is not None:
            self._closed = True
            self._writer.close()

    def cut(self, offset: int) -> None:
        """Cut off what was stored beyond the offset; to be called when closed. Raises StoreError."""
        if self._writer is not None and self.noting is None:  # what nobody noted does not count
            self._store.writer(self._upload_id, offset).close()

    def _take(self, piece: memoryview) -> None:
        self._taken += len(piece)
        if self._taken == self._hold_at and len(piece):
            self._held = bytes(piece[-1:])
            piece = piece[:-1]
        if len(piece):
            self._put(piece)

    def _put(self, piece: memoryview) -> None:
        writer, margin, along = self._ready(), self._margin, self._along
        if margin is not None:
            margin.before(self.mark.offset, len(piece))
        if along is not None and not self.mark.offset:
            along.begins(piece)
            self._stay_cached(writer)
        if self._roomy is not None and self._lent is not None and piece.obj is self._lent.obj:
            self._lent = None
            self._roomy.filled(len(piece))
        else:
            writer.write(piece)
        if self.noting is None:
            self._crc.update(piece)
        self.mark = Mark(self.mark.offset + len(piece), self._crc.value)
        if margin is not None:
            margin.after(self.mark.offset)
        if along is not None:
            along.stored(self.mark.offset)

    def _stay_cached(self, writer: Writer) -> None:
        if self.archive and isinstance(writer, ReadAlong):
            writer.read_along()

    def _ready(self) -> Writer:
        if self._writer is None:
            store, offset = self._store, self.mark.offset
            if isinstance(store, KeepsNoBooks):
                writer: Writer = store.noting_writer(
                    self._upload_id, offset, self._fence, self._on_durable, self._ends_at
                )
            else:
                writer = store.writer(self._upload_id, offset)
            self.noting = writer if isinstance(writer, Noting) else None
            self._roomy = writer if self._plain and isinstance(writer, Roomy) else None
            self._writer = writer
            self._stay_cached(writer)
        return self._writer

    def _fall_due(self) -> None:
        if isinstance(self._writer, Marks):
            self._marking.ask()
        else:
            self._unmarked()

    def _make_mark(self) -> None:
        assert isinstance(self._writer, Marks)
        mark = self.mark
        try:
            kept = self._writer.sync_marked(mark)
        except StoreError:  # the writer is dead, or closed: it says so to whoever uses it next
            self.give_up()
            return
        if kept:
            self.marked = mark
            self.committed(mark.offset)
        else:
            self._unmarked()


def _nothing() -> None:
    """Nobody commits."""
