"""The tables: every server that was asked for has its line or its reason."""

from bench.budgets import Verdict
from bench.report import budgets_table, heading, minio_table, outcome_table, table
from bench.servers import Missing
from tests.bench.made_up import outcome, scenario, server, turn

MACHINE: dict[str, str | int | float] = {
    "processor": "Some CPU",
    "cores": 2,
    "virtual": True,
    "memory_gib": 4.0,
    "kernel": "Linux 6",
    "file_system": "ext4",
    "sync_4k_ms": 0.3,
    "python": "3.11.7",
}
SERVERS = [server("ferryman", "ours"), server("tusd"), server("floor-each", "floor"), server("other")]


def test_row_holds_median_spread_and_ratios() -> None:
    """Against each rival and against the floor that makes the same promise."""
    of = outcome(scenario(floor="floor-each"), ferryman=[100.0, 200.0, 400.0], tusd=[100.0] * 3, floor_each=[400.0] * 3)
    row = next(line for line in outcome_table(of, SERVERS).splitlines() if line.startswith("| Ferryman"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["Ferryman", "200", "100–400"]
    assert cells[-2:] == ["2.00 (1.00–4.00)", "0.50 (0.25–1.00)"]


def test_server_that_cannot_take_part_is_named_with_its_reason() -> None:
    """Servers with the same reason share a line, and a failed one is told loudly."""
    of = outcome(scenario(), ferryman=[1.0])
    of.unable.update({"tusd": "it does not decode", "other": "it does not decode"})
    of.failures["floor-each"] = "round 1: expected 201"
    told = outcome_table(of, SERVERS)
    assert "- not measured: tusd, other: it does not decode" in told
    assert "- floor-each: FAILED: round 1: expected 201" in told


def test_disturbed_turns_are_told() -> None:
    """Figures of a machine that was busy with something else are to be doubted."""
    of = outcome(scenario(), ferryman=[])
    of.turns["ferryman"] = [turn(1.0, other_cpu_seconds=0.4), turn(1.0, other_cpu_seconds=0.6)]
    assert "in 1 of 2 turns other programs" in outcome_table(of, SERVERS)


def test_missing_rival_is_named_with_how_to_get_it() -> None:
    """It is never left out silently."""
    told = heading(MACHINE, SERVERS, [Missing(name="x", title="X server", why="get it there")])
    assert "- X server: MISSING: get it there" in told


def test_memory_as_disk_is_told() -> None:
    """Durable figures of a tmpfs mean nothing."""
    assert "This folder is memory" in heading(MACHINE | {"file_system": "tmpfs"}, [], [])
    assert "This folder is memory" not in heading(MACHINE, [], [])


def test_scenarios_into_minio_have_a_table_together() -> None:
    """Rates with their ratio to what is put straight there; what goes to the disk is not in it."""
    first = outcome(scenario("s3-8mib", into="minio", floor="straight"), ferryman=[50.0], straight=[100.0])
    second = outcome(scenario("s3-kib", into="minio", floor="straight", unit="uploads/s"), straight=[900.0])
    rows = minio_table([outcome(scenario(), ferryman=[1.0]), first, second], [*SERVERS, server("straight", "floor")])
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[2:]]
    assert cells[0] == ["", "title of s3-8mib, MB/s", "title of s3-kib, uploads/s"]
    assert cells[2:] == [["Ferryman", "50.0 (0.50)", ""], ["Straight", "100", "900"]]


def test_what_nobody_spent_is_left_open() -> None:
    """No MinIO behind it, no column; no server in between, no figure of one."""
    of = outcome(scenario("s3-8mib", into="minio"))
    of.turns["ferryman"] = [turn(1.0, server_cpu_seconds=2.0, minio_cpu_seconds=5.0, peak_mb=90.0)]
    of.turns["straight"] = [turn(1.0, minio_cpu_seconds=4.0)]
    told = outcome_table(of, [*SERVERS, server("straight", "floor")]).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told if line.startswith("|")]
    assert rows[0][3:6] == ["CPU s/GiB", "MinIO's CPU s/GiB", "peak MB"]
    assert [row[3:6] for row in rows[2:]] == [["2.00", "5.00", "90"], ["", "4.00", ""]]
    of.turns["ferryman"], of.turns["straight"] = [turn(1.0, server_cpu_seconds=2.0)], []
    assert "MinIO" not in outcome_table(of, SERVERS)


def test_verdicts_are_words() -> None:
    """Reached, not reached, not measured."""
    told = budgets_table(
        [
            Verdict(promise="a", figure="1.00", reached=True),
            Verdict(promise="b", figure="0.10", reached=False),
            Verdict(promise="c", figure=None, reached=None),
        ]
    )
    words = [line.split("|")[3].strip() for line in told.splitlines() if line.startswith(("| a", "| b", "| c"))]
    assert words == ["reached", "NOT REACHED", "not measured"]


def test_columns_are_in_line() -> None:
    """On a terminal too."""
    lines = table([["", "×"], ["long name", "1,000"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
