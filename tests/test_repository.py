"""The repository keeps its contracts: locks, imports, clean files, a README that starts one, and a wheel that works."""

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements/run.txt", "requirements/dev.txt", "requirements/go.txt")
IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
name, *paths = sys.argv[1:]
sys.path[:0] = paths
package = importlib.import_module(name)
for module in pkgutil.walk_packages(package.__path__, name + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(pathlib.Path(package.__file__).parent.parent)
"""


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it printed, whatever its exit code."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=100)


def output(*command: str | Path) -> str:
    """Run a command that must succeed and return its standard output."""
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def our_files() -> list[Path]:
    """Every file that is tracked, or would be after `git add`, relative to the root."""
    names = output("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def locked(lock: str) -> dict[str, list[str]]:
    """Map each requirement line of a lock file ("name==version ; marker") to its hashes."""
    logical = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    split = (line.partition(" --hash=") for line in logical if line.strip())
    return {name.strip(): (mark + hashes).split() for name, mark, hashes in split}


def hits(patterns: Sequence[str], files: Sequence[Path]) -> list[str]:
    """Tell the file and line of every place where one of the patterns occurs in a text file."""
    pattern = re.compile("|".join(patterns).encode())
    found = []
    for path in files:
        content = (ROOT / path).read_bytes()
        if b"\0" not in content[:8192]:
            lines = enumerate(content.splitlines(), 1)
            found += [f"{path}:{number}: {line[:120]!r}" for number, line in lines if pattern.search(line)]
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_python_lock_pins_every_requirement_by_hash_and_names_no_address(lock: str) -> None:
    """Each requirement has one exact version and SHA-256 hashes, and no line says where to download it."""
    for requirement, hashes in locked(lock).items():
        assert re.match(r"[a-z0-9._-]+==\S+( ; .+)?$", requirement), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), requirement
    assert not hits(["://", "--index-url", "--find-links"], [Path(lock)])


def test_what_runs_is_what_was_tested() -> None:
    """Every requirement of `make run` is one of `make test`, at the same version and with the same hashes."""
    run_only, dev = ({name.split(" ;")[0]: hashes for name, hashes in locked(lock).items()} for lock in LOCKS[:2])
    assert run_only
    for requirement, hashes in run_only.items():
        assert dev.get(requirement) == hashes, requirement


def test_locks_hold_the_versions_that_the_project_asks_for() -> None:
    """A pin that was changed in pyproject.toml or package.json without `make lock` is found here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
    asked += [each for group in project["dependency-groups"].values() for each in group if isinstance(each, str)]
    names = {requirement.split(" ;")[0] for lock in LOCKS for requirement in locked(lock)}
    assert {each.split(";")[0].strip() for each in asked} <= names
    package = json.loads((ROOT / "client_js/package.json").read_text())
    lock = json.loads((ROOT / "client_js/package-lock.json").read_text())
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]


def test_javascript_lock_pins_every_package_by_hash_and_names_no_address() -> None:
    """Each package has a version and an integrity value, and none says where it was resolved."""
    lock = json.loads((ROOT / "client_js/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


def test_import_contract_holds() -> None:
    """The protocol does no I/O, server and client never import each other, the shell imports none of them."""
    output(Path(sys.executable).with_name("lint-imports"), "--no-cache")


def test_no_file_names_a_machine_or_a_registry() -> None:
    """Paths of one machine and addresses of package registries work only where they were written down."""
    folders = ["work", "farm", "root"]
    hosts = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com"]
    patterns = [
        rf"(^|[^\w.-])/({'|'.join(folders)})/",
        *map(re.escape, hosts),
        r"https?://[^ /]*(registry|proxy|mirror)",
    ]
    assert hits(patterns, our_files()) == []


def test_readme_shows_the_two_commands() -> None:
    """A stranger finds how to start Ferryman and how to test it, and the Makefile has both."""
    readme, makefile = ((ROOT / name).read_text() for name in ("README.md", "Makefile"))
    for target in ("run", "test"):
        assert re.search(rf"^ *(\$ )?make {target}\b", readme, re.MULTILINE), f"make {target} on a line of its own"
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_continuous_integration_calls_the_readme_test_command() -> None:
    """What CI runs on a fresh clone is what the README tells a person to type."""
    script = (ROOT / ".ci/run").read_text()
    assert script.splitlines()[-1] == "make test"


def test_every_tests_folder_is_a_package() -> None:
    """Without `__init__.py`, mypy stops on two test files of the same name."""
    folders = {path.parent for path in our_files() if path.parts[0] == "tests" and path.suffix == ".py"}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the checkout, offline, with the locked hatchling."""
    folder = tmp_path_factory.mktemp("wheel")
    output(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that holds the wheel and nothing else, and return its folder."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python")]
    output(*pip, "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", wheel)
    return folder


def test_wheel_holds_every_file_of_the_packages_and_the_page(wheel: Path) -> None:
    """The four packages with their `py.typed` and SQL migrations, and the browser's page, all reach an installation."""
    homes = {
        Path("protocol/ferryman_protocol"): "ferryman_protocol",
        Path("server/ferryman_server"): "ferryman_server",
        Path("client_py/ferryman_client"): "ferryman_client",
        Path("cli/ferryman_cli"): "ferryman_cli",
        Path("client_js/page"): "ferryman_server/_page",
    }
    expected = {
        f"{installed}/{path.relative_to(home)}"
        for path in our_files()
        for home, installed in homes.items()
        if path.is_relative_to(home)
    }
    assert {f"{name}/py.typed" for name in homes.values() if "/" not in name} <= expected
    assert "ferryman_server/_page/index.html" in expected
    assert any(name.startswith("ferryman_server/") and name.endswith(".sql") for name in expected)
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_base_installation_imports_the_protocol_and_the_client_without_any_dependency(bare: Path) -> None:
    """Every module of them is imported from the wheel, in an environment with neither sources nor other packages."""
    for package in ("ferryman_protocol", "ferryman_client"):
        home = output(bare / "bin/python", "-I", "-c", IMPORT_ALL, package).strip()
        assert Path(home).is_relative_to(bare)


def test_server_works_from_the_wheel_with_the_sources_absent(bare: Path) -> None:
    """Every module of the server is imported from the wheel; only the locked dependencies are beside it."""
    installed = output(
        bare / "bin/python", "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
    ).strip()
    ours = sysconfig.get_path("purelib")  # without -S, its .pth file would put the sources on the path
    home = output(sys.executable, "-I", "-S", "-c", IMPORT_ALL, "ferryman_server", installed, ours).strip()
    assert home == installed


def test_command_of_a_base_installation_lists_its_subcommands(bare: Path) -> None:
    """`ferryman --help` works without any extra and names every subcommand."""
    told = output(bare / "bin/ferryman", "--help")
    for command in ("serve", "ls", "status", "gc", "doctor"):
        assert re.search(rf"^ +{command}\b", told, re.MULTILINE), told


def test_command_without_its_extra_says_what_to_install(bare: Path) -> None:
    """`ferryman serve` in a base installation ends with the one line that mends it."""
    done = run(bare / "bin/ferryman", "serve")
    assert done.returncode == 2
    assert "ferryman serve needs: pip install ferryman[server]" in done.stderr
    assert "Traceback" not in done.stderr
