"""The table of transitions: every pair of phases, the rules beside it, and the diagram in the documentation."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_protocol.transitions import LOSSES, MOVES, STARTS, IllegalMove, advance, begun_again, is_legal, mermaid

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "states.md"

LEGAL = {
    Phase.EMPTY: {"receiving", "finishing", "invalid", "expired", "terminated"},
    Phase.RECEIVING: {"finishing", "failed", "invalid", "expired", "terminated"},
    Phase.FINISHING: {"complete", "failed", "terminated"},
    Phase.COMPLETE: {"expired", "terminated"},
    Phase.FAILED: {"expired", "terminated"},
    Phase.INVALID: {"expired", "terminated"},
    Phase.WAITING: {"finishing", "failed", "expired", "terminated"},
    Phase.EXPIRED: set[str](),
    Phase.TERMINATED: set[str](),
}

phases = st.sampled_from(Phase)
lengths = st.none() | st.integers(0, 10)


def upload(phase: Phase, *, offset: int = 0, length: int | None = None, concat: Concat | None = None) -> Upload:
    """An upload in this phase."""
    return Upload(id="a" * 26, phase=phase, offset=offset, length=length, concat=concat)


@pytest.mark.parametrize(
    ("source", "target"), [pytest.param(*pair, id="-".join(pair)) for pair in product(Phase, Phase)]
)
def test_every_pair_of_phases_is_judged(source: Phase, target: Phase) -> None:
    """Exactly the moves of the design are legal, and staying always is."""
    legal = source is target or target in LEGAL[source]
    assert is_legal(source, target) is legal
    before = upload(source, concat=Concat.PARTIAL)
    if legal:
        assert advance(before, target).phase is target
    else:
        with pytest.raises(IllegalMove, match=f"{source} may not become {target}"):
            advance(before, target)


@given(phases, phases, st.integers(0, 10), st.integers(0, 10), lengths, lengths)
def test_no_move_takes_anything_back(
    source: Phase, target: Phase, old: int, new: int, known: int | None, said: int | None
) -> None:
    """Whatever is attempted in whatever phase, offsets never decrease and a known length never changes."""
    before = upload(source, offset=old, length=known)
    try:
        after = advance(before, target, offset=new, length=said)
    except IllegalMove:
        return
    assert after.offset >= before.offset
    assert before.length is None or after.length == before.length


def test_an_offset_may_not_go_back() -> None:
    """What was acknowledged stays acknowledged (R2)."""
    with pytest.raises(IllegalMove, match="offset may not go back from 5 to 4"):
        advance(upload(Phase.RECEIVING, offset=5), Phase.RECEIVING, offset=4)


def test_a_deferred_length_is_set_once() -> None:
    """An unknown length may become known; then it stays, and cannot be forgotten either."""
    known = advance(upload(Phase.EMPTY), Phase.EMPTY, length=7)
    assert known.length == 7
    assert advance(known, Phase.RECEIVING, length=7, offset=1).length == 7
    for other in (8, None):
        with pytest.raises(IllegalMove, match="length is 7 and may not become"):
            advance(known, Phase.RECEIVING, length=other)


def test_a_move_changes_what_it_names_and_nothing_else() -> None:
    """The old upload stays as it was; the new one differs in the phase and the named fields."""
    before = upload(Phase.RECEIVING, offset=3, length=9)
    after = advance(before, Phase.FAILED, reason="digest does not match")
    assert after == Upload(id=before.id, phase=Phase.FAILED, offset=3, length=9, reason="digest does not match")
    assert before.phase is Phase.RECEIVING


@pytest.mark.parametrize("concat", [None, Concat.FINAL])
def test_a_finished_file_does_not_expire(concat: Concat | None) -> None:
    """Only partial uploads have a time after completion; a file that people can read is never taken by the clock."""
    with pytest.raises(IllegalMove, match="does not expire"):
        advance(upload(Phase.COMPLETE, concat=concat), Phase.EXPIRED)


def test_every_phase_can_be_reached() -> None:
    """No phase is left over, and no move is written twice."""
    reached = set(STARTS) | {move.target for move in MOVES}
    assert reached == set(Phase)
    assert len({(move.source, move.target) for move in MOVES}) == len(MOVES)


def test_the_documented_diagram_is_the_table() -> None:
    """docs/reference/states.md shows what the code does."""
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document.split("```mermaid\n")[1].split("```")[0] == mermaid()


@pytest.mark.parametrize("source", Phase)
def test_one_commit_may_make_two_moves_that_are_legal(source: Phase) -> None:
    """What passes through a phase needs the way into it and the way out of it; the rules hold for the whole."""
    upload = Upload(id="a" * 26, phase=source, offset=3, length=5)
    if is_legal(source, Phase.FINISHING):
        done = advance(upload, Phase.COMPLETE, through=Phase.FINISHING, offset=5)
        assert (done.phase, done.offset) == (Phase.COMPLETE, 5)
    else:
        with pytest.raises(IllegalMove, match="may not become finishing"):
            advance(upload, Phase.COMPLETE, through=Phase.FINISHING)
    with pytest.raises(IllegalMove):
        advance(upload, Phase.COMPLETE, through=Phase.EXPIRED)


@pytest.mark.parametrize("phase", [Phase.EMPTY, *(move.source for move in LOSSES)])
def test_a_tus_upload_whose_bytes_are_gone_begins_again(phase: Phase) -> None:
    """Its protocol lets an offset go back; everything else about it stays."""
    upload = Upload(id="a" * 26, phase=phase, offset=5, length=7, metadata="filename YQ==")
    assert begun_again(upload) == replace(upload, phase=Phase.EMPTY, offset=0)


def test_nothing_else_begins_again() -> None:
    """R2 forbids it to an IETF upload; a complete one was told to be so, and what is over is over."""
    rufh = Upload(id="a" * 26, phase=Phase.RECEIVING, offset=5, dialect="rufh")
    others = [Upload(id="a" * 26, phase=phase) for phase in (Phase.COMPLETE, Phase.EXPIRED, Phase.WAITING)]
    for upload in (rufh, *others):
        with pytest.raises(IllegalMove, match="may not begin again"):
            begun_again(upload)
