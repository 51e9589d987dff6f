"""The result of a run as tables for people: Markdown that reads well on a terminal too."""

from collections.abc import Mapping, Sequence
from typing import Final

from bench.budgets import Verdict
from bench.results import Outcome
from bench.scenarios import INTO_MINIO
from bench.servers import Missing, Server
from ferryman_server.benching.spread import Spread

DISTURBED: Final = 0.5  # CPU seconds a second that others may use before a reader is told


def outcome_table(outcome: Outcome, servers: Sequence[Server]) -> str:
    """One scenario: a row a server, and what keeps the others out."""
    scenario = outcome.scenario
    against = [server for server in servers if server.kind == "rival"]
    floors = {"ferryman": scenario.floor, "ferryman-os": "floor-none"}
    header = ["", scenario.unit, "rounds", *(f"{whose} {outcome.cpu_unit}" for whose in ("CPU", "MinIO's CPU"))]
    header += [
        "peak MB",
        "ping p50 / p99 / max ms",
        "request p50 / p99 ms",
        *(f"× {server.title}" for server in against),
        "× its floor",
    ]
    rows = [header]
    for server in servers:
        rate = outcome.spread(server.name, lambda turn: turn.rate)
        if rate is None:
            continue
        floor = floors.get(server.name)
        rows.append(
            [
                server.title,
                _number(rate.median),
                f"{_number(rate.least)}–{_number(rate.most)}",
                _median(outcome.spread(server.name, outcome.cpu_cost), 2),
                _median(outcome.spread(server.name, outcome.minio_cost), 2),
                _median(outcome.spread(server.name, lambda turn: turn.peak_mb), 0),
                _latencies(outcome, server.name, "ping_p50_ms", "ping_p99_ms", "ping_max_ms"),
                _latencies(outcome, server.name, "request_p50_ms", "request_p99_ms"),
                *(_ratio(outcome.ratio(server.name, other.name), server.name == other.name) for other in against),
                _ratio(outcome.ratio(server.name, floor), False) if floor else "",
            ]
        )
    reasons: dict[str, list[str]] = {}
    for name, why in outcome.unable.items():
        reasons.setdefault(why, []).append(name)
    notes = [f"- not measured: {', '.join(names)}: {why}" for why, names in reasons.items()]
    notes += [f"- {name}: FAILED: {why}" for name, why in outcome.failures.items()]
    notes += _disturbance(outcome)
    return "\n".join(
        [f"### {scenario.title}", "", table(_without_empty_columns(rows)), *([""] if notes else []), *notes]
    )


def minio_table(outcomes: Sequence[Outcome], servers: Sequence[Server]) -> str:
    """All scenarios into MinIO: rates, and in brackets the ratio to the same bytes straight and checked alike."""
    told = [outcome for outcome in outcomes if outcome.scenario.into == "minio"]
    rows = [["", *(f"{outcome.scenario.title.removeprefix(INTO_MINIO)}, {outcome.scenario.unit}" for outcome in told)]]
    for server in servers:
        cells = [_rate_and_ratio(outcome, server.name) for outcome in told]
        if any(cells):
            rows.append([server.title, *cells])
    return "\n".join(["### Into MinIO", "", table(rows)])


def _rate_and_ratio(outcome: Outcome, server: str) -> str:
    rate, ratio = outcome.spread(server, lambda turn: turn.rate), outcome.ratio(server, outcome.scenario.floor)
    if rate is None:
        return ""
    compared = ratio is not None and server != outcome.scenario.floor
    return _number(rate.median) + (f" ({ratio.median:.2f})" if compared and ratio else "")


def budgets_table(verdicts: Sequence[Verdict]) -> str:
    """Every promise, its figure, and whether it is reached."""
    words = {True: "reached", False: "NOT REACHED", None: "not measured"}
    rows = [["promise", "measured: median (least–most)", ""]]
    rows += [[each.promise, each.figure or "–", words[each.reached]] for each in verdicts]
    return "\n".join(["### Promises", "", table(rows)])


def heading(machine: Mapping[str, str | int | float], servers: Sequence[Server], missing: Sequence[Missing]) -> str:
    """The machine, the servers with their versions, and those that are missing."""
    virtual = "virtual machine, " if machine["virtual"] else ""
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {virtual}{machine['memory_gib']} GiB, {machine['kernel']}, "
        f"{machine['file_system']}, Python {machine['python']}; 4 KiB written and synced: {machine['sync_4k_ms']} ms",
        "",
        *(f"- {server.title}{f' {server.version}' if server.version else ''}: {server.synced}" for server in servers),
        *(f"- {each.title}: MISSING: {each.why}" for each in missing),
    ]
    if machine["file_system"] in ("tmpfs", "ramfs"):
        lines += ["", "This folder is memory: a sync costs nothing there. Choose one on a disk with --dir."]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, the first of them its head, with the columns in line."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _without_empty_columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    told = [number for number in range(len(rows[0])) if number == 0 or any(row[number] for row in rows[1:])]
    return [[row[number] for number in told] for row in rows]


def _disturbance(outcome: Outcome) -> list[str]:
    """Say so when the machine was not ours alone; a little goes to the kernel's threads that write back."""
    shares = [turn.other_cpu_seconds / turn.seconds for name in outcome.turns for turn in outcome.of(name)]
    loud = sum(share > DISTURBED for share in shares)
    if not loud:
        return []
    return [f"- in {loud} of {len(shares)} turns other programs or write-back used more than half a core"]


def _ratio(ratio: Spread | None, itself: bool) -> str:
    return "" if ratio is None or itself else f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.most:.2f})"


def _median(spread: Spread | None, digits: int) -> str:
    """Nothing where there is none: no MinIO behind it, or no server at all."""
    return f"{spread.median:.{digits}f}" if spread and spread.most else ""


def _latencies(outcome: Outcome, server: str, *names: str) -> str:
    medians = [outcome.spread(server, lambda turn, name=name: float(getattr(turn, name))) for name in names]  # type: ignore[misc]
    return " / ".join(_number(each.median) if each else "–" for each in medians)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
