"""The page is found in a source tree and in a wheel, and runs under a policy that allows no inline code."""

import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import ferryman_server
from ferryman_server.page import page_dir

ROOT = Path(__file__).parents[2]
FILES = {path.name for path in (ROOT / "client_js" / "page").iterdir()}
LOADED = re.compile(r'^import .*?"\./([a-z]+\.js)"', re.MULTILINE | re.DOTALL)


class Elements(HTMLParser):
    """Collects tags with their attributes, and the text inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text of scripts and styles."""
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline += data.strip()


def page() -> Elements:
    """The page, parsed."""
    elements = Elements()
    elements.feed((page_dir() / "index.html").read_text(encoding="utf-8"))
    return elements


def test_in_a_source_tree_it_lies_beside_the_package() -> None:
    """The editable install reads the very files that are edited."""
    assert page_dir() == ROOT / "client_js" / "page"
    assert {path.name for path in page_dir().iterdir()} >= {"index.html", "page.js", "page.css", "icon.svg"}


def test_in_a_wheel_it_lies_inside_the_package(tmp_path: Path) -> None:
    """Built, unpacked elsewhere and imported from there, the page comes along."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("ferryman-*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = "import ferryman_server.page as page; print(page.page_dir()); print(page.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    folder, module = map(Path, found.stdout.splitlines())
    assert folder == site / "ferryman_server" / "_page"
    assert module == site / "ferryman_server" / "page.py"
    assert {path.name for path in folder.iterdir()} == FILES
    assert Path(str(ferryman_server.__file__)).is_relative_to(ROOT)


def test_nothing_is_inline() -> None:
    """No script, style or handler in the page itself: a strict Content-Security-Policy stops none of it."""
    elements = page()
    assert elements.inline == ""
    for _, attributes in elements.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_everything_it_loads_is_there_and_its_own() -> None:
    """Each file that is referred to lies beside the page, none on another server; and none lies there for nothing."""
    named = {attributes.get("src") or attributes.get("href") for _, attributes in page().tags}
    modules, loaded = named - {None}, set[str]()
    while modules:
        name = str(modules.pop())
        loaded.add(name)
        if name.endswith(".js"):
            modules |= set(LOADED.findall((page_dir() / name).read_text(encoding="utf-8"))) - loaded
    assert loaded == FILES - {"index.html"}


def test_text_from_strangers_is_never_taken_for_markup() -> None:
    """File names and reasons are set as text."""
    scripts = "".join(path.read_text(encoding="utf-8") for path in page_dir().glob("*.js"))
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert dangerous not in scripts


def test_every_control_and_table_heading_is_labelled() -> None:
    """What a screen reader needs: a language, labels, scopes, a place for news."""
    tags = page().tags
    attributes = {values["id"]: values for _, values in tags if values.get("id")}
    labelled = {values.get("for") for tag, values in tags if tag == "label"}
    assert ("html", {"lang": "en"}) in tags
    assert labelled == {values["id"] for tag, values in tags if tag in ("input", "select")}
    assert all(values.get("scope") == "col" for tag, values in tags if tag == "th")
    assert attributes["news"]["role"] == "status"
    headings = {values.get("aria-labelledby") for tag, values in tags if tag == "section"}
    assert headings <= attributes.keys()
