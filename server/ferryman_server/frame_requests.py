"""What is asked of a medium's frames: in which form, how many at once; and in words why not, and what there is."""

from collections.abc import Iterable
from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.refusals import refusal
from ferryman_server.media.frame_formats import BYTES_A_PIXEL, Format, bytes_a_frame
from ferryman_server.media.negotiation import PICTURE_SUFFIXES, Form, chosen_form, offers
from ferryman_server.media.urls import FrameName, FramesName
from ferryman_server.state.media import Medium

MOST_BYTES: Final = 64 << 20  # of frames in a row
MOST_FRAMES: Final = 10_000  # in a row: each is a row of the database

_FORMS: Final[dict[str, Form]] = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "bmp": "bmp"}


def count_of(medium: Medium) -> int:
    """How many frames it has. Raises Refused where there are none."""
    return _facts(medium)[0]


def format_of(medium: Medium) -> Format:
    """The format of its frames. Raises Refused where there are none."""
    return Format(_facts(medium)[1])


def form_of(medium: Medium, name: FrameName, headers: Headers) -> Form:
    """The form in which a frame is wanted. Raises Refused where there is none."""
    own = format_of(medium)
    form: Form | None
    if name.suffix is None:
        form = chosen_form(headers.joined("accept"), own)
    elif name.suffix == "raw":
        form = "own" if own in BYTES_A_PIXEL else None
    else:
        form = _FORMS[name.suffix]
    if form is None:
        raise refusal(problems.NOT_ACCEPTABLE, f"frame {name.n} of {medium.slug} is to be had as {_offered(own)}")
    return "own" if form == own else form


def check_row(medium: Medium, name: FramesName) -> None:
    """Whether these frames can be had in a row. Raises Refused."""
    own = format_of(medium)
    size = bytes_a_frame(own, medium.width or 0, medium.height or 0)
    if size is None:
        detail = f"the frames of {medium.slug} are {own.value} pictures, which are to be had one by one"
        raise refusal(problems.NOT_ACCEPTABLE, detail)
    count = name.last - name.first + 1
    if count < 1:
        raise refusal(problems.NO_SUCH_MEDIUM, f"frame {name.last} does not come after frame {name.first}")
    most = min(MOST_BYTES // size, MOST_FRAMES)
    if count > most:
        fit = f"{most} of them fit into one answer" if most else "one alone does not fit: ask for it by its number"
        detail = f"{count} frames of {size} bytes are asked for, and {fit}"
        raise refusal(problems.TOO_MANY_FRAMES, detail, members=(("most-frames", most),))


def listed(things: Iterable[object]) -> str:
    """Things as people list them."""
    *others, last = map(str, things)
    return f"{', '.join(others)} and {last}" if others else last


def _facts(medium: Medium) -> tuple[int, str]:
    if not medium.frames or medium.format is None:
        raise refusal(problems.NO_SUCH_MEDIUM, f"{medium.slug} holds no frames")
    return medium.frames, medium.format


def _offered(own: Format) -> str:
    suffixes = {"own": f"its own bytes, {own.value}" + (", .raw" if own in BYTES_A_PIXEL else ""), **PICTURE_SUFFIXES}
    return listed(f"{media_type} ({suffixes[form]})" for form, media_type in offers(own).items())
