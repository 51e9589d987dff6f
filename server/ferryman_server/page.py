"""Where the page's files are: in the wheel they lie inside the package, in a source tree beside it."""

from importlib import resources
from pathlib import Path


def page_dir() -> Path:
    """The folder that holds `index.html` and what it loads. Raises FileNotFoundError when there is none."""
    package = Path(str(resources.files("ferryman_server")))
    for folder in (package / "_page", package.parents[1] / "client_js" / "page"):
        if (folder / "index.html").is_file():
            return folder
    raise FileNotFoundError(
        "the page's files are missing: this installation of ferryman is incomplete, install it again"
    )
