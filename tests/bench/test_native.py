"""Compiling the C programs: once, without a warning, and with a word to whoever has no compiler."""

import subprocess
from pathlib import Path

import pytest

from bench.errors import CannotMeasure
from bench.native import FLAGS, HERE, cache_folder, compiler, program


@pytest.mark.parametrize("name", ["load", "ping", "floor"])
def test_source_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    """Every warning of the compiler is an error here; a stranger's newer compiler may still find more."""
    strict = ["-Wall", "-Wextra", "-Wno-unused-function", "-Werror"]  # a program needs not all of http.h
    command = [compiler(), *FLAGS, *strict, str(HERE / f"{name}.c"), "-o", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_program_is_compiled_once() -> None:
    """The second call finds what the first left in the cache folder."""
    first = program("ping")
    made = first.stat().st_mtime_ns
    assert first.parent == cache_folder()
    assert program("ping") == first
    assert first.stat().st_mtime_ns == made


def test_changed_source_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is keyed by what is compiled, headers too."""
    monkeypatch.setattr("bench.native.HERE", tmp_path)
    (tmp_path / "small.h").write_text("#define ANSWER 1\n")
    (tmp_path / "small.c").write_text('#include "small.h"\nint main(void) { return ANSWER; }\n')
    assert subprocess.run([program("small")], check=False).returncode == 1
    (tmp_path / "small.h").write_text("#define ANSWER 2\n")
    assert subprocess.run([program("small")], check=False).returncode == 2


def test_missing_compiler_is_told_with_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback: what was looked for, what to install, and how to name another."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(CannotMeasure, match=r"looked for: cc, gcc, clang.* apt-get install gcc.* CC=/path/to/cc"):
        program("ping")


def test_compiler_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """CC decides, also when it names nothing."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CannotMeasure, match="looked for: no-such-compiler"):
        compiler()


def test_source_that_does_not_compile_is_told_with_the_compilers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is left in the cache that a later run would start."""
    monkeypatch.setattr("bench.native.HERE", tmp_path)
    (tmp_path / "bad.c").write_text("int main(void) { return no_such_name; }\n")
    with pytest.raises(CannotMeasure, match=r"bench/bad\.c(.|\n)*no_such_name"):
        program("bad")
    assert not list(cache_folder().glob("bad-*"))
