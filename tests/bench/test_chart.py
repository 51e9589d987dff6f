"""The chart is a well-formed picture that says in words what it shows."""

from xml.etree import ElementTree

from bench.chart import chart
from tests.bench.made_up import outcome, scenario, server

SVG = "{http://www.w3.org/2000/svg}"
SERVERS = [server("ferryman", "ours"), server("tusd"), server("floor-each", "floor")]


def drawn(**rates: list[float | None]) -> ElementTree.Element:
    """The picture of one scenario with these rates."""
    return ElementTree.fromstring(chart([outcome(scenario(title="1 GiB & more"), **rates)], SERVERS, "the <foot>"))


def test_bars_are_as_long_as_their_medians() -> None:
    """Beside the longest one, which fills its room up to the fastest round."""
    picture = drawn(ferryman=[100.0, 200.0, 400.0], tusd=[100.0] * 3)
    widths = {rect[0].text: float(rect.get("width", 0)) for rect in picture.iter(f"{SVG}rect")}
    ours, other = widths["Ferryman: 200 MB/s (100–400)"], widths["Tusd: 100 MB/s (100–100)"]
    assert abs(ours - 2 * other) < 0.2


def test_everything_is_said_in_text() -> None:
    """Titles, servers, figures, and the line that names the machine; a server without a figure has no bar."""
    texts = [text.text for text in drawn(ferryman=[200.0]).iter(f"{SVG}text")]
    assert {"1 GiB & more, MB/s", "Ferryman", "200", "the <foot>"} <= set(texts)
    assert "Floor-Each" not in texts


def test_server_without_a_figure_is_named() -> None:
    """A rival that failed or cannot take part does not vanish from the picture; a floor may."""
    texts = [text.text for text in drawn(ferryman=[200.0], tusd=[None]).iter(f"{SVG}text")]
    assert "no figure: Tusd" in texts


def test_server_that_has_nothing_to_do_with_a_scenario_is_not_named() -> None:
    """One that stores on the disk only is not missing in what goes into MinIO."""
    texts = [text.text for text in drawn(ferryman=[200.0]).iter(f"{SVG}text")]
    assert not [text for text in texts if text and text.startswith("no figure")]


def test_colours_follow_the_reader() -> None:
    """One picture for pages in light and in dark mode."""
    style = next(drawn(ferryman=[1.0]).iter(f"{SVG}style")).text or ""
    assert "prefers-color-scheme: dark" in style


def test_nothing_measured_is_still_a_picture() -> None:
    """All servers failed: no panel, no division by zero."""
    assert not list(drawn(ferryman=[None]).iter(f"{SVG}rect"))
