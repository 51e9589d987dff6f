"""The result of a run as a picture: a panel for each scenario, a bar for each server, drawn as SVG by hand.

The colours follow the reader's light or dark mode, and the text says everything that the colours do.
"""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from bench.results import Outcome
from bench.servers import Server
from ferryman_server.benching.spread import Spread

COLUMNS: Final = 2
PANEL_WIDTH: Final = 486
LABEL_WIDTH: Final = 174
FIGURE_WIDTH: Final = 62
BAR_HEIGHT: Final = 13
ROW_HEIGHT: Final = 19
TITLE_HEIGHT: Final = 26
GAP: Final = 18
FOOT_HEIGHT: Final = 40
_STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .note { fill: #59636e; font-size: 11px; }
  .ours { fill: #0969da; }
  .rival { fill: #9a6700; }
  .floor { fill: #8c959f; }
  .spread { stroke: #1f2328; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .note { fill: #9198a1; }
    .ours { fill: #4493f8; }
    .rival { fill: #d29922; }
    .floor { fill: #656c76; }
    .spread { stroke: #f0f6fc; }
  }
"""


def chart(outcomes: Sequence[Outcome], servers: Sequence[Server], foot: str) -> str:
    """The whole picture; `foot` is the line below it that names the machine and the day."""
    panels = [(outcome, bars) for outcome in outcomes if (bars := _bars(outcome, servers))]
    lines, top, width = [], GAP, COLUMNS * PANEL_WIDTH + GAP
    for start in range(0, len(panels), COLUMNS):
        row = panels[start : start + COLUMNS]
        heights = []
        for place, (outcome, bars) in enumerate(row):
            left = GAP + place * PANEL_WIDTH
            lines += _panel(left, top, outcome, bars)
            below = TITLE_HEIGHT + len(bars) * ROW_HEIGHT
            if without := _without(outcome, bars, servers):
                lines.append(_text(left, top + below + 11, f"no figure: {', '.join(without)}", "note"))
                below += ROW_HEIGHT
            heights.append(below)
        top += max(heights) + GAP
    key = "Bars: median of the rounds; lines: from the slowest to the fastest round. Longer is better."
    lines += [_text(GAP, top + 4, key, "note"), _text(GAP, top + 20, foot, "note")]
    title = "Ferryman beside other upload servers"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top + FOOT_HEIGHT}" '
            f'viewBox="0 0 {width} {top + FOOT_HEIGHT}" role="img" aria-label="{title}">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            *lines,
            "</svg>\n",
        ]
    )


def _bars(outcome: Outcome, servers: Sequence[Server]) -> list[tuple[Server, Spread]]:
    rates = ((server, outcome.spread(server.name, lambda turn: turn.rate)) for server in servers)
    return [(server, rate) for server, rate in rates if rate]


def _without(outcome: Outcome, bars: Sequence[tuple[Server, Spread]], servers: Sequence[Server]) -> list[str]:
    """Titles of the servers, floors aside, that the panel has no bar for: they failed, or are not able."""
    without = {*outcome.turns, *outcome.unable} - {server.name for server, _ in bars}
    return [server.title for server in servers if server.name in without and server.kind != "floor"]


def _panel(left: int, top: int, outcome: Outcome, bars: Sequence[tuple[Server, Spread]]) -> list[str]:
    room = PANEL_WIDTH - LABEL_WIDTH - FIGURE_WIDTH - GAP
    scale = room / max(rate.most for _, rate in bars)
    start = left + LABEL_WIDTH
    lines = [_text(left, top + 12, f"{outcome.scenario.title}, {outcome.scenario.unit}", "title")]
    for row, (server, rate) in enumerate(bars):
        y = top + TITLE_HEIGHT + row * ROW_HEIGHT
        middle = y + BAR_HEIGHT / 2
        told = f"{rate.median:,.0f} {outcome.scenario.unit} ({rate.least:,.0f}–{rate.most:,.0f})"
        lines += [
            _text(start - 8, y + 11, server.title, end=True),
            f'<rect class="{server.kind}" x="{start}" y="{y}" width="{rate.median * scale:.1f}" height="{BAR_HEIGHT}" '
            f'rx="2"><title>{escape(f"{server.title}: {told}")}</title></rect>',
            f'<line class="spread" x1="{start + rate.least * scale:.1f}" y1="{middle}" '
            f'x2="{start + rate.most * scale:.1f}" y2="{middle}"/>',
            _text(start + room + 8, y + 11, f"{rate.median:,.0f}"),
        ]
    return lines


def _text(x: float, y: float, text: str, kind: str = "", *, end: bool = False) -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += ' text-anchor="end"' if end else ""
    return f'<text x="{x}" y="{y}"{attributes}>{escape(text)}</text>'
