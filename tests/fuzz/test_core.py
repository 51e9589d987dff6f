"""The protocol core under arbitrary requests, for as long as its part of the time lasts."""

from collections import Counter

from hypothesis import given, seed, settings

from ferryman_protocol import problems
from ferryman_protocol.commands import Append, Create, Describe, Inspect
from tests.fuzz import corpus, target_fields, target_requests
from tests.fuzz.budget import ROUND, SEED, searching
from tests.fuzz.deciding import decide
from tests.fuzz.request_text import Situation, read, write
from tests.fuzz.strategies import any_situation, field_lines


@searching(8, any_situation())
def test_every_request_has_one_well_formed_answer(situation: Situation) -> None:
    """Nothing but an answer or a refusal comes out, the same one each time, and it can be sent as it is."""
    target_requests.check_situation(situation)


@searching(3, any_situation())
def test_whatever_happens_later_can_be_told(situation: Situation) -> None:
    """Every row of the catalogue becomes an answer in the words of the request's own protocol."""
    target_requests.check_verdicts(situation)


@searching(4, field_lines())
def test_header_values_of_any_form_are_read_or_refused(data: bytes) -> None:
    """The parsers of single fields keep their promises for any lines, as they do under guided fuzzing."""
    for check in (
        target_fields.check_structured,
        target_fields.check_metadata,
        target_fields.check_digests,
        target_fields.check_values,
    ):
        check(data)


def test_the_vectors_survive_as_text() -> None:
    """The targets of the guided search are fed with the requests of the vectors, and decide them alike."""
    for situation in corpus.situations():
        again = read(write(situation))
        sent = situation.request
        assert (again.request.method, again.request.upload_id) == (sent.method, sent.upload_id)
        assert list(again.request.headers) == [(name, value.strip(" ")) for name, value in sent.headers]
        assert again.limits == situation.limits
        assert (again.upload is None) == (situation.upload is None)


def test_the_strategies_reach_everything() -> None:
    """A few hundred requests meet the commands that matter most, and many of the refusals that the core makes."""
    seen: Counter[str] = Counter()

    @seed(SEED)
    @settings(ROUND, max_examples=250, database=None)
    @given(any_situation())
    def collect(situation: Situation) -> None:
        decided = decide(situation)
        seen[type(decided.command).__name__] += 1
        if decided.reply.problem is not None:
            seen[decided.reply.problem.kind.code] += 1

    collect()
    for command in (Append, Create, Describe, Inspect):
        assert seen[command.__name__], seen
    assert len(set(seen) & set(problems.CATALOGUE)) >= 12, seen
