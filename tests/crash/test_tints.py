"""Content of several senders is told apart: right orders are explained, and everything else is not."""

import pytest

from tests.crash.tints import Run, Sent, Tints

TINTS = Tints(7)
SIZE = 3_000_000


def whole(*runs: tuple[int, int, int]) -> bytes:
    """Content made of these runs: start, stop and tint of each."""
    return b"".join(TINTS.content(tint, start, stop) for start, stop, tint in runs)


FIRST, SECOND, THIRD = Sent(0, 2_000_000, 1), Sent(1_000_000, SIZE, 2), Sent(1_000_000, 1_500_000, 3)
ALL = (FIRST, SECOND, THIRD)
ENDS = {1: Sent(0, 500, 1, whole=True), 2: Sent(500, 900, 2, whole=True)}


def test_a_later_request_goes_on_where_it_began() -> None:
    """The runs name the requests and where one took over from the other."""
    right = whole((0, 1_000_000, 1), (1_000_000, SIZE, 2))
    runs = [Run(0, 1_000_000, 1), Run(1_000_000, SIZE, 2)]
    assert TINTS.explain(right, ALL) == runs
    assert TINTS.of(runs, 999_990, 1_000_010) == right[999_990:1_000_010]


def test_nothing_needs_no_explanation() -> None:
    """An empty upload is made of no runs."""
    assert TINTS.explain(b"", ()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        whole((0, 1_000_001, 1), (1_000_001, SIZE, 2)),  # the older sender wrote a byte too many
        whole((0, 1_000_000, 1), (1_000_000, 1_200_000, 2), (1_200_000, 1_300_000, 1), (1_300_000, SIZE, 2)),
        whole((0, 1_000_000, 1), (1_000_001, SIZE, 2)),  # a byte is missing
        whole((0, 1_000_000, 1), (999_999, SIZE, 2)),  # a byte is there twice
        whole((0, 2_000_001, 1)),  # nobody sent so much
        whole((0, 1_000_000, 1), (1_000_000, 1_100_000, 3), (1_100_000, SIZE, 2)),
        whole((1_000_000, SIZE, 2)),
        bytes(SIZE),
    ],
)
def test_bytes_of_two_senders_mixed_up_are_not_explained(wrong: bytes) -> None:
    """Whatever does not follow from where requests began is found, be it a single byte."""
    assert TINTS.explain(wrong, ALL) is None


def test_what_a_checksum_governs_counts_whole_or_not_at_all() -> None:
    """Half a checksummed request in an upload is an error, even where another one goes on after it."""
    assert TINTS.explain(whole((0, 500, 1), (500, 900, 2)), tuple(ENDS.values())) is not None
    assert TINTS.explain(whole((0, 500, 1), (500, 800, 2)), tuple(ENDS.values())) is None
    assert TINTS.explain(whole((0, 300, 1), (300, 900, 3)), (*ENDS.values(), Sent(300, 900, 3))) is None


def test_a_tint_goes_on_beyond_what_is_kept_of_it() -> None:
    """Content larger than the pool is made of the same bytes, however it is asked for."""
    far = 40_000_000
    assert TINTS.content(5, far, far + 1000)[500:] == TINTS.content(5, far + 500, far + 1000)
    assert len(TINTS.content(5, 0, far)) == far
