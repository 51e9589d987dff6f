"""The shell finds, loads and runs subcommands, and says in plain words when it cannot."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ferryman_cli import main

Install = Callable[..., None]

GOOD = """
    class Command:
        help = "greet somebody"

        def configure(self, parser):
            parser.add_argument("--name", default="nobody")

        def run(self, args):
            print(f"hello {args.name}")
            return 1

    command = Command()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution called `ferryman`, in front of the real one, with one module for each command."""
    monkeypatch.syspath_prepend(tmp_path)
    entries: list[str] = []

    def add(name: str, source: str, extra: str = "") -> None:
        module = f"fake_command_{tmp_path.name.replace('-', '_')}_{name}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        entries.append(f"{name} = {module}:command {extra}".strip())
        info = tmp_path / "ferryman-9.9.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ferryman\nVersion: 9.9\n")
        (info / "entry_points.txt").write_text("[ferryman.commands]\n" + "\n".join(entries) + "\n")
        monkeypatch.syspath_prepend(tmp_path)  # once more: makes the import system look at the folder again

    return add


def test_runs_the_chosen_command_with_its_arguments(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments after the name are the command's, and its exit code is the shell's."""
    install("greet", GOOD)
    assert main(["greet", "--name", "Ada"]) == 1
    assert capsys.readouterr().out == "hello Ada\n"


def test_loads_only_the_chosen_command(install: Install) -> None:
    """A command that would crash on import does not stand in another one's way."""
    install("greet", GOOD)
    install("broken", "raise RuntimeError('loaded')")
    assert main(["greet"]) == 1


def test_help_lists_every_command_with_its_description(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` shows the one-line help of each command."""
    install("greet", GOOD)
    assert main(["--help"]) == 0
    assert "greet  greet somebody" in capsys.readouterr().out


def test_a_missing_extra_is_named(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """A command whose third-party module is missing says what pip has to install."""
    install("carry", "import no_such_module_anywhere", "[server]")
    assert main(["carry"]) == 2
    assert capsys.readouterr().err == "ferryman carry needs: pip install ferryman[server]\n"


def test_help_still_lists_a_command_that_cannot_be_loaded(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works without any extra."""
    install("carry", "import no_such_module_anywhere", "[server]")
    assert main(["--help"]) == 0
    assert "carry  (needs: pip install ferryman[server])" in capsys.readouterr().out


def test_a_missing_module_without_an_extra_is_named(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an extra the module's own name is the best advice."""
    install("carry", "import no_such_module_anywhere")
    assert main(["carry"]) == 2
    assert "no_such_module_anywhere" in capsys.readouterr().err


def test_a_fault_of_our_own_is_not_taken_for_a_missing_extra(install: Install) -> None:
    """A module of ours that cannot be imported is a bug, and shows as one."""
    install("carry", "from ferryman_cli import no_such_name", "[server]")
    with pytest.raises(ImportError):
        main(["carry"])


def test_an_unknown_command_gets_a_suggestion(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the finger is answered with the nearest name."""
    install("greet", GOOD)
    assert main(["gret"]) == 2
    assert capsys.readouterr().err == "ferryman: there is no command 'gret'. Did you mean 'greet'?\n"


def test_a_word_like_nothing_gets_the_list(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is near, all commands are named; an option is called one."""
    install("greet", GOOD)
    assert main(["--xyz"]) == 2
    assert capsys.readouterr().err == "ferryman: there is no option '--xyz'. Commands: greet.\n"


def test_no_arguments_is_a_mistake_that_gets_help(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the overview goes to standard error."""
    install("greet", GOOD)
    assert main([]) == 2
    assert "greet somebody" in capsys.readouterr().err


def test_wrong_arguments_are_refused_before_running(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's refusal becomes the exit code 2, its help 0; an abbreviated flag is no flag."""
    install("greet", GOOD)
    assert main(["greet", "--nam", "Ada"]) == 2
    assert main(["greet", "--help"]) == 0
    assert "ferryman greet" in capsys.readouterr().out


def test_interrupting_ends_quietly(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and without a traceback."""
    install("wait", GOOD.replace('print(f"hello {args.name}")', "raise KeyboardInterrupt"))
    assert main(["wait"]) == 130
    assert capsys.readouterr().err == ""


def test_tells_its_version(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` tells the installed distribution's version."""
    install("greet", GOOD)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "ferryman 9.9\n"


def test_every_declared_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The commands of this distribution load and explain themselves."""
    for name in ("serve", "ls", "status", "gc", "doctor"):
        assert main([name, "--help"]) == 0
        assert f"usage: ferryman {name}" in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`ferryman --help | head -0` ends without a traceback."""
    command = [sys.executable, "-m", "ferryman_cli", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_the_shell_itself_loads_none_of_the_other_packages() -> None:
    """Importing the shell costs nothing but the standard library."""
    code = "import ferryman_cli, sys; print([name for name in sys.modules if name.startswith('ferryman_')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['ferryman_cli.shell', 'ferryman_cli']"
