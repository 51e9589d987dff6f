"""One name for each setting, four sources in a fixed order, and errors that say where to look."""

import argparse
import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.settings import Settings, contradictions, explain, options
from ferryman_server.settings_sources import SettingsError, add_arguments, load, read
from ferryman_server.settings_values import MAX_SIZE, duration, origins, rate, size, switch

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def arguments(*argv: str) -> argparse.Namespace:
    """What a command's parser makes of flags."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    return parser.parse_args(argv)


def problems(cwd: Path, *argv: str, toml: str = "", **environ: str) -> tuple[str, ...]:
    """The complaints about these flags, variables and ferryman.toml."""
    if toml:
        (cwd / "ferryman.toml").write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load(arguments(*argv), environ, cwd)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    """Nothing set gives loopback, port 1080, ./data, 24 hours and no limits."""
    settings = load(arguments(), {}, tmp_path)
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 1080, tmp_path / "data")
    assert (settings.store, settings.durability, settings.upload_ttl) == ("local", "disk", 86_400)
    assert (settings.max_size, settings.min_append_size, settings.max_append_size) == (None, None, None)
    assert (settings.checkpoint_size, settings.checkpoint_interval) == (8 << 20, 1)
    assert (settings.body_timeout, settings.header_timeout) == (60, 15)
    assert (settings.min_rate, settings.min_rate_window) == (64, 300)
    assert settings.cors_origins == ()
    assert settings.files_path == "/files/"


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    """The order of the sources."""
    (tmp_path / "ferryman.toml").write_text('port = 1\nhost = "192.0.2.1"\nmax_size = "1k"\n')
    environ = {"FERRYMAN_PORT": "2", "FERRYMAN_HOST": "192.0.2.2", "PATH": "/bin"}
    settings = load(arguments("--port", "3"), environ, tmp_path)
    assert (settings.port, settings.host, settings.max_size) == (3, "192.0.2.2", 1000)


def test_explain_names_the_source_of_each_value(tmp_path: Path) -> None:
    """The doctor can say why a value holds."""
    (tmp_path / "ferryman.toml").write_text("max_size = 5\n")
    settings = load(arguments("--upload-ttl", "90min"), {"FERRYMAN_PROXY_HEADERS": "on"}, tmp_path)
    told = {name: (value, source) for name, value, source in explain(settings)}
    assert told["max_size"] == ("5 bytes", f"{tmp_path / 'ferryman.toml'}, key max_size")
    assert told["upload_ttl"] == ("1 h 30 min", "--upload-ttl")
    assert told["proxy_headers"] == ("yes", "FERRYMAN_PROXY_HEADERS")
    assert told["cors_origins"] == ("(empty)", "default")
    assert len(told) == len(options())


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_every_setting_can_be_written_in_all_three_places(option: Any, tmp_path: Path) -> None:
    """The default, written as a flag, a variable or a TOML string, gives the default."""
    flags = [option.flag] if option.kind.switch else [f"{option.flag}={option.default}"]
    expected = True if option.kind.switch else getattr(load(arguments(), {}, tmp_path), option.name)
    assert getattr(load(arguments(*flags), {}, tmp_path), option.name) == expected
    expected = getattr(load(arguments(), {}, tmp_path), option.name)
    assert getattr(load(arguments(), {option.variable: option.default}, tmp_path), option.name) == expected
    (tmp_path / "ferryman.toml").write_text(f'{option.name} = "{option.default}"')
    assert getattr(load(arguments(), {}, tmp_path), option.name) == expected


def test_a_switch_can_be_turned_off_again(tmp_path: Path) -> None:
    """`--no-…` overrules a variable."""
    environ = {"FERRYMAN_PROXY_HEADERS": "yes"}
    assert load(arguments(), environ, tmp_path).proxy_headers
    assert not load(arguments("--no-proxy-headers"), environ, tmp_path).proxy_headers


def test_toml_types_are_understood(tmp_path: Path) -> None:
    """Numbers, booleans and arrays need no quotes."""
    (tmp_path / "ferryman.toml").write_text(
        'max_size = 1000\nbody_timeout = 1.5\nproxy_headers = true\ncors_origins = ["https://a.example", "HTTPS://B.example:8443"]\n'
    )
    settings = load(arguments(), {}, tmp_path)
    assert (settings.max_size, settings.body_timeout, settings.proxy_headers) == (1000, 1.5, True)
    assert settings.cors_origins == ("https://a.example", "https://b.example:8443")


def test_another_file_can_be_named(tmp_path: Path) -> None:
    """`--config` replaces ./ferryman.toml."""
    (tmp_path / "ferryman.toml").write_text("port = 1\n")
    (tmp_path / "other.toml").write_text("port = 2\n")
    assert load(arguments("--config", "other.toml"), {}, tmp_path).port == 2


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """A missing ./ferryman.toml is fine, a missing --config is not."""
    assert problems(tmp_path, "--config", "no.toml") == (f"--config: there is no file {tmp_path / 'no.toml'}",)


@pytest.mark.parametrize("text", ["port = ", "port 5", "\x00", "port = 1\nport = 2"])
def test_a_file_that_is_not_toml_is_an_error(tmp_path: Path, text: str) -> None:
    """The error names the file."""
    (told,) = problems(tmp_path, toml=text)
    assert told.startswith(f"{tmp_path / 'ferryman.toml'}: the settings file cannot be read: ")


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused, not guessed at."""
    (tmp_path / "ferryman.toml").write_bytes(b"port = 1 # \xff\n")
    (told,) = problems(tmp_path)
    assert "cannot be read" in told


def test_errors_name_the_source_the_value_and_what_is_expected(tmp_path: Path) -> None:
    """One line for each thing that is wrong, all at once."""
    told = problems(tmp_path, "--port", "70000", toml="max_size = true\n", FERRYMAN_UPLOAD_TTL="soon")
    assert told == (
        f"{tmp_path / 'ferryman.toml'}, key max_size: 'yes' cannot be used, it is not a number with a unit; "
        "expected a size such as 64MiB, 10GB, 512k or 1048576, or none",
        "FERRYMAN_UPLOAD_TTL: 'soon' cannot be used, it is not a number with a unit; "
        "expected a duration such as 24h, 90s, 10min or 7d",
        "--port: '70000' cannot be used, it is not a whole number from 0 to 65535; "
        "expected a whole number from 0 to 65535",
    )


def test_unknown_names_are_errors_with_a_suggestion(tmp_path: Path) -> None:
    """A setting that is misspelt is never passed over."""
    told = problems(tmp_path, toml="max_sise = 1\nzzz = 1\n", FERRYMAN_MAX_SIZ="1")
    assert told == (
        f"{tmp_path / 'ferryman.toml'}, key max_sise: there is no such setting; did you mean max_size?",
        f"{tmp_path / 'ferryman.toml'}, key zzz: there is no such setting; `ferryman serve --help` lists the settings",
        "FERRYMAN_MAX_SIZ: there is no such variable; did you mean FERRYMAN_MAX_SIZE?",
    )


@pytest.mark.parametrize("line", ["[port]\nx = 1\n", 'host = ["a"]\n', "port = [1]\n"])
def test_tables_and_arrays_are_refused_where_one_value_is_meant(tmp_path: Path, line: str) -> None:
    """TOML that has the wrong shape is told so."""
    (told,) = problems(tmp_path, toml=line)
    assert "it is not a single value" in told


def test_more_than_one_worker_is_refused_with_the_reason(tmp_path: Path) -> None:
    """SQLite has one server process."""
    (told,) = problems(tmp_path, "--workers", "4")
    assert told.startswith("--workers: 4 workers need PostgreSQL.")
    assert "Set workers to 1" in told


def test_append_sizes_that_contradict_each_other_are_refused() -> None:
    """A smallest body above the largest leaves no body at all."""
    (told,) = contradictions(Settings(min_append_size=10, max_append_size=5))
    assert "no request could be right" in told
    assert contradictions(Settings(min_append_size=5, max_append_size=5)) == []


def test_reading_goes_on_where_loading_gives_up(tmp_path: Path) -> None:
    """The doctor gets the settings that can be read; a wrong flag leaves the variable's value."""
    settings, told = read(arguments("--port", "x", "--host", "::1"), {"FERRYMAN_PORT": "7"}, tmp_path)
    assert (settings.port, settings.host, len(told)) == (7, "::1", 1)


def test_settings_cannot_be_changed() -> None:
    """What was loaded holds as long as the process."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_a_command_may_offer_some_flags_only() -> None:
    """`ls` has --data, not the server's flags; other sources still count."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser, ("data",))
    assert vars(parser.parse_args(["--data", "x"])) == {"config": None, "data": "x"}
    assert "--port" not in parser.format_help()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("10GB", 10**10),
        ("512k", 512_000),
        ("512kB", 512_000),
        ("1.5GiB", 3 << 29),
        ("2T", 2 * 10**12),
        ("7b", 7),
    ],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    """Powers of 1000 without an i, powers of 1024 with one."""
    assert size(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+5", "1,5M", "1e3", "64 apples", "0x10", "1i", "1iB", "1.5", "1.0005k", "9999T", "٣", "1_000", "MiB"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    """Signs, other digits, unknown units, fractions of a byte, and what no structured field can hold."""
    with pytest.raises(ValueError, match=r"it is|unit of size"):
        size(text)


@given(st.integers(0, MAX_SIZE))
def test_every_whole_number_of_bytes_is_a_size(value: int) -> None:
    """Plain bytes are read as they are."""
    assert size(str(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", 86_400),
        ("90s", 90),
        ("10min", 600),
        ("10m", 600),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("1.5", 1.5),
    ],
)
def test_durations_are_read(text: str, expected: float) -> None:
    """Seconds without a unit."""
    assert duration(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("64", 64), ("0", 0), ("1k", 1000), ("1 KiB/s", 1024), ("2MB/s", 2_000_000), ("0 /s", 0)]
)
def test_rates_are_read(text: str, expected: int) -> None:
    """Sizes a second, with or without saying so."""
    assert rate(text) == expected


@pytest.mark.parametrize("text", ["", "/s", "64/min", "64/s/s", "-1", "1.5"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Only whole bytes a second."""
    with pytest.raises(ValueError, match="it is"):
        rate(text)


def test_a_rate_is_shown_with_its_unit() -> None:
    """Zero asks for none."""
    shown = [{name: text for name, text, _ in explain(Settings(min_rate=value))}["min_rate"] for value in (64, 0)]
    assert shown == ["64 bytes/s", "any"]


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1y", "1h30m", "99999w", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Zero would spin, a century and more cannot be written as a date."""
    with pytest.raises(ValueError, match=r"it is|it must|unit of time"):
        duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "https://",
        "ftp://a.example",
        "https://a.example/path",
        "https://a.example/",
        "https://u@a.example",
        "https://a:99999",
        "*,https://a.example",
        "https://[::1",
        "null",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    """An origin is a scheme, a host and perhaps a port."""
    with pytest.raises(ValueError, match="origin"):
        origins(text)


@pytest.mark.parametrize("text", ["", " ", "~no-such-user-here/data", "a\0b"])
def test_what_is_no_path_is_refused(tmp_path: Path, text: str) -> None:
    """Empty paths, unknown home folders and NUL bytes never reach the file system."""
    (told,) = problems(tmp_path, FERRYMAN_DATA=text)
    assert "expected the path of a folder" in told


@pytest.mark.parametrize("text", ["", "a..b", "a" * 64 + ".example"])
def test_what_is_no_host_is_refused(tmp_path: Path, text: str) -> None:
    """A name that could never be looked up is told here, not by a crash at the socket."""
    (told,) = problems(tmp_path, f"--host={text}")
    assert "expected an address or a host name" in told


def test_origins_are_read() -> None:
    """Lists are separated by commas; doubles count once; the star stands alone."""
    assert origins(" https://a.example , http://[::1]:8080,https://A.example") == (
        "https://a.example",
        "http://[::1]:8080",
    )
    assert origins("*") == ("*",)
    assert origins("") == ()


@pytest.mark.parametrize("parse", [size, rate, duration, origins, switch, *(option.kind.parse for option in options())])
@given(text=st.text(max_size=30))
def test_no_text_breaks_a_parser(parse: Callable[[str], object], text: str) -> None:
    """Whatever is written, a parser gives a value or says why not."""
    with suppress(ValueError):
        parse(text)


def test_every_setting_is_documented() -> None:
    """The reference has a row for each setting with its default and its meaning, and no row for anything else."""
    _, _, table = REFERENCE.read_text(encoding="utf-8").partition("## All settings")
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    expected = [
        f"| `{option.name}` | {f'`{option.default}`' if option.default else 'empty'} | {option.help} |"
        for option in options()
    ]
    assert rows == expected
