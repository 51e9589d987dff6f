"""What is true about media: the values that :mod:`.archives`, :mod:`.library` and :mod:`.outbox` take and give.

An upload that is an archive gets an index while it comes in: an :class:`Archive` and its entries. What is published is
a :class:`Medium`. A medium is one name of one owner; each upload of that name is a generation of it, and one of them,
the last published that is still there, is the active one. What is made of a generation in the background is
:class:`Derived`. All times are seconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ferryman_server.media.entries import Entry
from ferryman_server.media.picture_size import PictureSize
from ferryman_server.state.outbox import Job

ArchivePhase: TypeAlias = Literal["indexing", "ready", "not-frames", "failed"]
Kind: TypeAlias = Literal["frames", "video", "audio", "image", "file"]
Making: TypeAlias = Literal["wanted", "ready", "failed"]
Sort: TypeAlias = Literal["name", "date", "size", "duration", "rating", "views"]

MOST_THUMBS: Final = 64  # of one upload
LARGEST_THUMB: Final = 8192  # bytes
HIGHEST_RATING: Final = 5


class NotIndexing(Exception):
    """Nothing may be added to this upload's index: upload or archive are gone, or the archive is settled. Whoever walks
    it stops."""


class PublishError(Exception):
    """This cannot be published: the upload is not complete (any more), or what is said of it does not fit its index."""

    def __init__(self, upload_id: str, reason: str) -> None:
        super().__init__(f"upload {upload_id} cannot be published: {reason}")
        self.upload_id = upload_id
        self.reason = reason


class SlugTaken(Exception):
    """Another medium has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"there is a medium {slug} already: take another slug")
        self.slug = slug


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """How far an upload's index is. Everything before `offset` is among its entries."""

    upload_id: str
    phase: ArchivePhase
    offset: int = 0  # bytes: of the next local header, or of the directory
    entries: int = 0  # how many there are
    checkpoint: str | None = None  # what the walker wants to be told to go on; None: from the beginning
    reason: str | None = None  # why it is not-frames or failed
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexedEntry:
    """An entry, and how large it is if it is a picture."""

    entry: Entry
    picture: PictureSize | None = None


@dataclass(frozen=True, slots=True)
class Thumb:
    """A small picture of an entry, for the filmstrip of a running upload."""

    number: int  # of the entry
    jpeg: bytes  # at most LARGEST_THUMB


@dataclass(frozen=True, slots=True)
class Group:
    """Uploads that are published together: an original and its frames, for instance."""

    name: str
    size: int  # how many uploads there are in it


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """A complete upload, and what it is."""

    upload_id: str
    name: str  # of the uploaded file
    owner: str | None = None
    title: str  # of a new medium; one that is there keeps its own
    kind: Kind
    size: int  # bytes
    content_type: str
    width: int | None = None  # pixels
    height: int | None = None
    format: str | None = None
    fps: float | None = None  # frames a second
    duration: float | None = None  # seconds
    frames: Sequence[int] | None = None  # entry numbers, in the order of the frames; None: no archive of frames
    derived: Sequence[str] = ()  # kinds that are to be made: they are `wanted` from then on
    jobs: Sequence[Job] = ()  # put into the outbox in the same commit


@dataclass(frozen=True, slots=True)
class Published:
    """What an upload has become."""

    medium: int  # its number, for good
    slug: str
    generation: int  # rises with each publication in the whole library
    upload_id: str
    replaced: str | None  # the upload that was the medium's before


@dataclass(frozen=True, slots=True)
class Waiting:
    """An upload waits for the others of its group."""

    group: Group
    arrived: Sequence[str]  # ids of the uploads that are there, in the order in which they came


@dataclass(frozen=True, kw_only=True, slots=True)
class Medium:
    """What the library shows, with what its active generation is."""

    id: int
    slug: str
    title: str
    name: str
    owner: str | None
    upload_id: str
    generation: int
    kind: Kind
    size: int  # bytes
    content_type: str
    width: int | None  # pixels
    height: int | None
    format: str | None
    fps: float | None  # frames a second
    frames: int | None  # how many; None: no archive of frames
    duration: float | None  # seconds
    created_at: float
    published_at: float  # the active generation
    updated_at: float  # published or edited
    favourite: bool
    rating: int  # 0: none, to HIGHEST_RATING
    views: int
    tags: tuple[str, ...]  # in order
    ready: tuple[str, ...]  # kinds of what was derived from the active generation


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which media are listed, in which order; media that are alike in it come in the order of their numbers."""

    sort: Sort = "date"
    descending: bool = True
    search: str | None = None  # words, parts of words too, that are all in title, name or tags; however written
    tag: str | None = None
    kind: Kind | None = None
    favourite: bool | None = None


@dataclass(frozen=True, slots=True)
class MediaPage:
    """A page of the listing, and the cursor of the next one (None: this was the last)."""

    media: Sequence[Medium]
    next: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """What people change of a medium; None: it stays. The caller has validated it."""

    title: str | None = None
    slug: str | None = None
    tags: Sequence[str] | None = None  # all of them
    favourite: bool | None = None
    rating: int | None = None


@dataclass(frozen=True, slots=True)
class FrameRow:
    """Where a frame lies."""

    n: int  # from 0
    upload_id: str
    generation: int
    indexed: IndexedEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """What was made of a generation in the background, or is to be made, or could not be."""

    upload_id: str
    kind: str
    state: Making
    place: str | None = None  # where its bytes lie
    size: int | None = None  # bytes
    content_type: str | None = None
    reason: str | None = None  # why it could not be made
    updated_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What was found in a medium's bytes after it was published; None: it is not known, or there is no such thing."""

    width: int | None = None  # pixels
    height: int | None = None
    fps: float | None = None  # frames a second
    duration: float | None = None  # seconds


NO_FACTS: Final = Facts()


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What nothing refers to any more and is to be freed."""

    uploads: Sequence[str]  # gone from here once they are terminated
    places: Sequence[str]  # of what was derived; gone from here once they are told to be freed
