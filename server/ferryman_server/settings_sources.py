"""Where settings come from: flags, then `FERRYMAN_*` variables, then a TOML file, then the defaults.

All three write the same text for the same value, so each is read into text first and parsed once. Everything that is
wrong is gathered and told at once, with its source; nothing that is not known is passed over in silence.
"""

import argparse
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ferryman_server.settings import PREFIX, Option, Settings, contradictions, options

CONFIG_NAME: Final = "ferryman.toml"


class SettingsError(Exception):
    """Settings that cannot be used; `problems` has a line for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Found:
    """A value that a source gave for a setting."""

    option: Option
    source: str  # for instance "--port", "FERRYMAN_PORT", "ferryman.toml, key port"
    text: str


def add_arguments(parser: argparse.ArgumentParser, names: Iterable[str] | None = None) -> None:
    """Add `--config` and a flag for each setting (or for those named) to a command's parser."""
    group = parser.add_argument_group("settings", f"also as {PREFIX}… variables and in {CONFIG_NAME}")
    group.add_argument("--config", metavar="FILE", default=None, help=f"the settings file (default: ./{CONFIG_NAME})")
    wanted = None if names is None else set(names)
    for option in options():
        if wanted is None or option.name in wanted:
            _add_flag(group, option)


def _add_flag(group: "argparse._ArgumentGroup", option: Option) -> None:
    text = f"{option.help} (default: {option.default or 'empty'})".replace("%", "%%")
    if option.kind.switch:
        action = argparse.BooleanOptionalAction
        group.add_argument(option.flag, dest=option.name, action=action, default=argparse.SUPPRESS, help=text)
    else:
        unit = {"bytes": "SIZE", "seconds": "TIME"}.get(option.kind.unit or "", "VALUE")
        group.add_argument(option.flag, dest=option.name, metavar=unit, default=argparse.SUPPRESS, help=text)


def load(args: argparse.Namespace, environ: Mapping[str, str], cwd: Path) -> Settings:
    """The settings that hold. Raises SettingsError with everything that is wrong with them."""
    settings, problems = read(args, environ, cwd)
    if problems:
        raise SettingsError(problems)
    return settings


def read(args: argparse.Namespace, environ: Mapping[str, str], cwd: Path) -> tuple[Settings, list[str]]:
    """The settings that hold as far as they can be read, and what is wrong; `ferryman doctor` goes on with them."""
    problems: list[str] = []
    known = {option.name: option for option in options()}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    found = [
        *_from_file(args, cwd, known, problems),
        *_from_environment(environ, known, problems),
        *_from_flags(args, known),
    ]
    for item in found:  # from the least to the most important: later ones replace earlier ones
        name = item.option.name
        try:
            values[name], sources[name] = item.option.kind.parse(item.text), item.source
        except ValueError as reason:
            problems.append(_wrong(item.source, item.text, item.option, str(reason)))
    values["data"] = cwd / values.get("data", Settings().data)
    settings = Settings(**values, sources=sources)
    return settings, problems + contradictions(settings)


def _wrong(source: str, value: object, option: Option, reason: str) -> str:
    return f"{source}: {value!r} cannot be used, {reason}; expected {option.kind.expects}"


def _from_flags(args: argparse.Namespace, known: Mapping[str, Option]) -> Iterator[_Found]:
    for name, option in known.items():
        if hasattr(args, name):
            yield _Found(option, option.flag, _text(getattr(args, name)))


def _from_environment(environ: Mapping[str, str], known: Mapping[str, Option], problems: list[str]) -> Iterator[_Found]:
    by_variable = {option.variable: option for option in known.values()}
    for variable in sorted(environ):
        if variable in by_variable:
            yield _Found(by_variable[variable], variable, environ[variable])
        elif variable.startswith(PREFIX):
            problems.append(f"{variable}: there is no such variable; {_nearest(variable, by_variable)}")


def _from_file(
    args: argparse.Namespace, cwd: Path, known: Mapping[str, Option], problems: list[str]
) -> Iterator[_Found]:
    chosen: str | None = getattr(args, "config", None)
    path = cwd / (chosen or CONFIG_NAME)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if chosen:
            problems.append(f"--config: there is no file {path}")
        return
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not TOML
        problems.append(f"{path}: the settings file cannot be read: {error}")
        return
    for key, value in table.items():
        source = f"{path}, key {key}"
        if key not in known:
            problems.append(f"{source}: there is no such setting; {_nearest(key, known)}")
        elif isinstance(value, dict) or (isinstance(value, list) and not known[key].kind.many):
            problems.append(_wrong(source, value, known[key], "it is not a single value"))
        else:
            yield _Found(known[key], source, _text(value))


def _text(value: object) -> str:
    """A flag's or TOML's value as it would be written in a variable."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ",".join(_text(item) for item in value)
        case _:
            return str(value)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else "`ferryman serve --help` lists the settings"
