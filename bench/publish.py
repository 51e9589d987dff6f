"""The result of a run as JSON, for programs and for whoever doubts the tables."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.budgets import Verdict
from bench.results import Outcome
from bench.servers import Missing, Server

FORMAT: Final = 1
RATIOS_OF: Final = ("ferryman", "ferryman-os")


def as_json(
    *,
    day: str,
    rounds: int,
    machine: Mapping[str, str | int | float],
    servers: Sequence[Server],
    missing: Sequence[Missing],
    outcomes: Sequence[Outcome],
    frames: Mapping[str, Any],
    verdicts: Sequence[Verdict],
) -> str:
    """The whole run: every turn's figures, and ratios within rounds. Sizes are bytes unless a name says otherwise."""
    document = {
        "format": FORMAT,
        "day": day,
        "rounds": rounds,
        "machine": machine,
        "servers": {
            server.name: {
                "title": server.title,
                "version": server.version,
                "kind": server.kind,
                "synced": server.synced,
            }
            for server in servers
        },
        "missing": {each.name: each.why for each in missing},
        "scenarios": {outcome.scenario.name: _outcome(outcome, servers) for outcome in outcomes},
        "frames": frames,
        "promises": [dataclasses.asdict(verdict) for verdict in verdicts],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def write(path: Path, text: str) -> None:
    """Replace a file at once: a run that is cut short leaves the old one whole."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def _outcome(outcome: Outcome, servers: Sequence[Server]) -> dict[str, Any]:
    scenario = dataclasses.asdict(outcome.scenario)
    del scenario["name"]
    return {
        **scenario,
        "not_able": outcome.unable,
        "failed": outcome.failures,
        "ratios": {
            f"{ours} / {server.name}": {name: round(value, 3) for name, value in dataclasses.asdict(ratio).items()}
            for ours in RATIOS_OF
            for server in servers
            if server.name != ours and (ratio := outcome.ratio(ours, server.name))
        },
        "turns": {
            name: [None if turn is None else _rounded(dataclasses.asdict(turn)) for turn in turns]
            for name, turns in outcome.turns.items()
        },
    }


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    """Four decimals at most: beyond them is noise."""
    return {name: round(value, 4) for name, value in figures.items()}
