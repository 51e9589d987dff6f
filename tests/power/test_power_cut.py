"""A power cut at any moment loses nothing that anybody was told, and nothing has to be sent twice but a little."""

import random
from pathlib import Path

import pytest

from ferryman_server.storage.local import LocalStore
from tests.power.cuts import Cut, drawn, judge, left_after, report, strict_moments
from tests.power.disk import Image
from tests.power.jobs import Plan
from tests.power.recording import DATA, Recording, record, record_after
from tests.power.recovery import AGAIN
from tests.power.tree import read_tree
from tests.support.uploading import MIB

SEED = 20261205


@pytest.fixture(scope="module")
def run(place: Path) -> Recording:
    """Three clients upload in every way while the server is killed, started, stopped and started."""
    return record(Plan(seed=SEED), place / "run")


def test_nothing_that_was_told_is_lost(run: Recording, place: Path) -> None:
    """Cut at moments drawn by chance, the next server keeps every promise, and every upload comes to its end."""
    outcome = judge(run, drawn(run.log, random.Random(SEED), strict=20, lucky=20), place)
    assert not outcome.faults, report(outcome)


def test_a_cut_while_a_start_puts_right_what_a_cut_left_is_no_worse(run: Recording, place: Path) -> None:
    """What a start replays, cuts off and moves is repeated by the next start, from whatever is left of it."""
    chance = random.Random(SEED)
    for number, image in enumerate((Image.STRICT, Image.SHUFFLED)):
        cut = Cut(chance.randint(len(run.log) // 3, len(run.log)), image, chance.getrandbits(32))
        plan = Plan(seed=SEED + number, ends=(), pause=0.0, clients=2)
        again = record_after(plan, place / f"after-{number}", left_after(run, cut), run.stories.at(cut.moment))
        outcome = judge(again, drawn(again.log, chance, strict=8, lucky=8), place)
        assert not outcome.faults, f"after {cut}: {report(outcome)}"


def test_at_most_8_mib_have_to_come_again(place: Path) -> None:
    """However slow the disk is: a long upload does not run ahead of what is durable."""
    long = record(Plan(seed=SEED, clients=1, rounds=0, ends=(), delay=20_000), place / "long")
    moments = strict_moments(long.log)
    outcome = judge(long, [Cut(moment, Image.STRICT) for moment in moments], place)
    assert not outcome.faults, report(outcome)
    assert MIB < outcome.volatile <= AGAIN


def test_without_syncs_the_model_finds_what_is_lost(place: Path) -> None:
    """Durability “os” promises nothing about a power cut: a model that found no loss would prove nothing."""
    store = LocalStore(place / "empty" / DATA)
    store.open()
    store.close()
    plan = Plan(seed=SEED, clients=2, ends=(), long=False, pause=0.0, flags=("--durability", "os"))
    careless = record(plan, place / "careless", on=read_tree(str(place / "empty")))
    outcome = judge(careless, drawn(careless.log, random.Random(SEED), strict=4, lucky=0), place)
    assert outcome.lost > 20, report(outcome)
