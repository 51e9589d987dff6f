"""The limit of open files is raised as far as it may be, and not used to its last descriptor."""

import json
import resource
import subprocess
import sys

import pytest

from ferryman_server import descriptors

CHILD = """
import json, resource, sys
from ferryman_server.descriptors import raise_limit
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
told = raise_limit(wanted)
print(json.dumps([*told, *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


def raised(soft: int, hard: int, wanted: int) -> list[int]:
    """What a process with these limits says (before, after) and has (soft, hard) after raising them."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, (soft, hard, wanted))], check=True, capture_output=True
    )
    told: list[int] = json.loads(done.stdout)
    return told


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    """Any process may do that."""
    assert raised(64, 512, wanted=100) == [64, 512, 512, 512]


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    """Nothing is lowered."""
    assert raised(512, 512, wanted=100) == [512, 512, 512, 512]


def test_the_hard_limit_is_raised_only_where_that_is_allowed() -> None:
    """Otherwise the soft one goes as far as it can; both ways what is told is what holds."""
    after = 600 if descriptors.may_raise() else 512
    assert raised(64, 512, wanted=600) == [64, after, after, after]


def test_a_server_that_may_not_raise_the_hard_limit_comes_to_it() -> None:
    """No limit at all means what the kernel lets any process have."""
    assert descriptors.reachable(4096, may_raise=False) == 4096
    assert descriptors.reachable(4096, may_raise=True, wanted=5000) == 5000
    assert descriptors.reachable(10_000, may_raise=True, wanted=5000) == 10_000
    assert descriptors.reachable(resource.RLIM_INFINITY, may_raise=False) >= descriptors.NEEDED


@pytest.mark.parametrize(("limit", "uploads"), [(20_512, 10_000), (4096, 1792), (256, 64), (0, 0)])
def test_some_descriptors_are_left_for_the_house(limit: int, uploads: int) -> None:
    """Of a small limit a half."""
    assert descriptors.uploads_for(limit) == uploads


@pytest.mark.parametrize("limit", [64, 128, 1024, 20_000, 1_048_576])
def test_connections_are_refused_politely_before_they_are_cut(limit: int) -> None:
    """And both before the limit is reached."""
    room = descriptors.room_for(limit)
    assert 0 < room.connections < room.polite < room.strict < limit


@pytest.mark.parametrize(("limit", "connections"), [(128, 32), (4096, 1792), (20_000, 15_392), (1_048_576, 1_043_968)])
def test_connections_are_refused_before_the_files_they_will_open_are_missing(limit: int, connections: int) -> None:
    """One each, unless there are so many that slow uploads do not keep theirs open."""
    assert descriptors.room_for(limit).connections == connections
