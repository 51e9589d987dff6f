"""Promises judged: reached only when the median is, and every round where that was promised."""

import pytest

from bench.budgets import RATIOS, judge
from bench.results import Outcome
from bench.scenarios import scenarios
from bench.servers import Server, known
from tests.bench.made_up import outcome, scenario, turn


def verdicts(of: Outcome) -> dict[str, tuple[str | None, bool | None]]:
    """Promise → figure and verdict."""
    return {each.promise: (each.figure, each.reached) for each in judge({of.scenario.name: of}, {})}


@pytest.mark.parametrize(("rate", "reached"), [(90.0, True), (89.0, False)])
def test_median_decides(rate: float, reached: bool) -> None:
    """0.9 of the floor is enough, a little less is not."""
    told = verdicts(outcome(scenario(), ferryman=[1.0, rate, 500.0], floor_bounded=[100.0] * 3))
    figure, verdict = told["title of one-patch: ferryman ≥ 0.9 × floor-bounded"]
    assert verdict is reached
    assert figure == f"{rate / 100:.2f} (0.01–5.00)"


@pytest.mark.parametrize(("worst", "reached"), [(100.0, True), (99.0, False)])
def test_every_round_counts_where_that_is_promised(worst: float, reached: bool) -> None:
    """A median of 3 does not excuse one round below 1."""
    told = verdicts(outcome(scenario("kib-c16"), ferryman=[300.0, worst, 300.0], tusd=[100.0] * 3))
    assert told["title of kib-c16: ferryman ≥ 2 × tusd, ≥ 1 × in every round"][1] is reached


def test_promise_against_a_missing_rival_is_not_measured() -> None:
    """It is listed, neither reached nor broken."""
    told = verdicts(outcome(scenario(), ferryman=[100.0]))
    assert told["title of one-patch: ferryman ≥ 1 × tusd"] == (None, None)


@pytest.mark.parametrize(("peak", "reached"), [(60.0, True), (61.0, False)])
def test_memory_of_one_large_upload_is_judged(peak: float, reached: bool) -> None:
    """At most 60 MB."""
    of = outcome(scenario())
    of.turns["ferryman"] = [turn(1.0, peak_mb=peak)]
    assert verdicts(of)["one large upload: at most 60 MB of memory"] == (f"{peak:.0f} MB", reached)


def test_worst_scenario_stands_for_all_pings() -> None:
    """A scenario in which everything waits is not hidden by those in which nothing does."""
    calm, busy = outcome(scenario("mib-c1")), outcome(scenario("mib-c16"))
    calm.turns["ferryman"] = [turn(1.0, ping_p99_ms=1.0)]
    busy.turns["ferryman"] = [turn(1.0, ping_p99_ms=11.0)]
    (told,) = (each for each in judge({"mib-c1": calm, "mib-c16": busy}, {}) if "small request" in each.promise)
    assert (told.figure, told.reached) == ("11.0 ms in mib-c16", False)


def test_pings_beside_minio_are_not_judged() -> None:
    """Where a MinIO has the processors, a small request waits for it; on the disk it does not excuse anything."""
    calm, busy = outcome(scenario("mib-c16")), outcome(scenario("s3-mib-c16", into="minio"))
    calm.turns["ferryman"], busy.turns["ferryman"] = [turn(1.0, ping_p99_ms=1.0)], [turn(1.0, ping_p99_ms=99.0)]
    told = judge({"mib-c16": calm, "s3-mib-c16": busy}, {})
    assert [each.figure for each in told if "small request" in each.promise] == ["1.0 ms in mib-c16"]
    assert not [each for each in judge({"s3-mib-c16": busy}, {}) if "small request" in each.promise]


def test_what_goes_into_minio_is_held_to_what_goes_straight_there() -> None:
    """A ratio like the others."""
    of = outcome(scenario("s3-8mib", into="minio"), ferryman=[85.0], straight=[100.0], tusd=[60.0])
    told = verdicts(of)
    assert told["title of s3-8mib: ferryman ≥ 0.85 × straight"] == ("0.85 (0.85–0.85)", True)
    assert told["title of s3-8mib: ferryman ≥ 1.5 × tusd"] == ("1.42 (1.42–1.42)", False)


def test_promises_name_scenarios_and_servers_that_exist() -> None:
    """A promise about a name that nobody measures would never be judged."""
    loads = {each.name: each for each in scenarios(1024, quick=False)}
    servers = {each.name for each in known()}
    assert {each.scenario for each in RATIOS} <= set(loads)
    assert {name for each in RATIOS for name in (each.server, each.other)} <= servers
    assert {each.floor for each in loads.values()} <= servers
    here = {each.name: each for each in known() if isinstance(each, Server)}
    for each in RATIOS:
        for name in {each.server, each.other} & set(here):
            assert loads[each.scenario].concerns(here[name]), (each.scenario, name)
