"""Outcomes with made-up figures, for tests of what is worked out from them."""

from bench.measurement import Measurement
from bench.results import Outcome
from bench.scenarios import Scenario
from bench.servers import Kind, Server


def turn(rate: float, **figures: float) -> Measurement:
    """A measurement with this rate; its other figures are those of a quiet second unless given."""
    values: dict[str, float] = dict.fromkeys(Measurement.__dataclass_fields__, 0) | {"seconds": 1, "rate": rate}
    return Measurement(**(values | figures))  # type: ignore[arg-type]


def scenario(name: str = "one-patch", **fields: object) -> Scenario:
    """A scenario of one upload of 1 GiB unless `fields` say otherwise."""
    values: dict[str, object] = {"name": name, "title": f"title of {name}", "unit": "MB/s", "count": 1, "size": 1 << 30}
    return Scenario(**(values | fields))  # type: ignore[arg-type]


def outcome(of: Scenario, **rates: list[float | None]) -> Outcome:
    """An outcome with these rates, round by round; None is a turn that failed. A server's name has `_` for `-`."""
    turns = {
        name.replace("_", "-"): [None if rate is None else turn(rate) for rate in each] for name, each in rates.items()
    }
    return Outcome(scenario=of, unable={}, turns=turns, failures={})


def server(name: str, kind: Kind = "rival") -> Server:
    """A server by name; it cannot be started."""
    return Server(name=name, title=name.title(), kind=kind, synced="nothing", command=lambda port, data: ["false"])
