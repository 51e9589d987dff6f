"""The doctor finds what is wrong, says how to mend it, and changes nothing."""

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman_cli import main
from ferryman_protocol.model import Phase
from ferryman_server.checkup.findings import Finding, Level
from ferryman_server.checkup.folder import Mount, check_folder, judge_mount, judge_sync, mount_of, sync_time
from ferryman_server.checkup.machine import (
    check_extra,
    judge_boot_id,
    judge_clock,
    judge_files,
    judge_sqlite,
    requirements,
)
from ferryman_server.checkup.network import check_address, listeners, owner_of
from ferryman_server.checkup.reading_back import verified
from ferryman_server.checkup.records import check_records
from ferryman_server.settings import Settings
from ferryman_server.storage.identity import DataLock
from tests.server.data_folder import data_folder, id_of, record_of

NOW = 2_000_000_000.0
DATA = b"some bytes"

MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /proc rw - proc proc rw
24 22 0:25 / /srv/with\040space rw - nfs4 host:/export rw
25 22 0:26 / /srv/data rw - tmpfs tmpfs rw
26 25 254:1 / /srv/data rw - xfs /dev/vdb rw
a line that is none
"""


def levels(findings: list[Finding]) -> list[Level]:
    """How bad each is."""
    return [finding.level for finding in findings]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Mount("/", "ext4")),
        ("/srv", Mount("/", "ext4")),
        ("/srv/database", Mount("/", "ext4")),
        ("/srv/with space/data", Mount("/srv/with space", "nfs4")),
        ("/srv/data/x", Mount("/srv/data", "xfs")),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, expected: Mount) -> None:
    """By whole path components, and a later mount covers an earlier one."""
    assert mount_of(Path(path), MOUNTINFO) == expected


def test_without_a_table_of_mounts_nothing_is_guessed() -> None:
    """Other systems have none."""
    assert mount_of(Path("/"), "") is None


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("ext4", Level.OK),
        ("zfs", Level.OK),
        ("tmpfs", Level.WRONG),
        ("nfs", Level.WRONG),
        ("nfs4", Level.WRONG),
        ("cifs", Level.WRONG),
        ("fuse.sshfs", Level.WRONG),
        ("9p", Level.WRONG),
        ("overlay", Level.NOTE),
    ],
)
def test_file_systems_are_judged(kind: str, level: Level) -> None:
    """Memory forgets, networks break locks, containers are thrown away."""
    finding = judge_mount(Mount("/srv", kind))
    assert finding.level is level
    assert kind in finding.text
    assert bool(finding.remedy) == (level is not Level.OK)


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    """And is not made."""
    findings = check_folder(Settings(data=tmp_path / "a" / "b"))
    assert findings[0] == Finding(Level.OK, f"the data folder {tmp_path / 'a' / 'b'} is not there yet; serve makes it")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folders_place_is_wrong(tmp_path: Path) -> None:
    """The first finding says what to do."""
    (tmp_path / "data").write_text("")
    finding = check_folder(Settings(data=tmp_path / "data"))[0]
    assert finding.level is Level.WRONG
    assert finding.text == f"{tmp_path / 'data'} is not a folder"


def test_less_room_than_the_largest_upload_is_noted(tmp_path: Path) -> None:
    """An upload that is allowed but cannot fit would fail at its end."""
    findings = check_folder(Settings(data=tmp_path, max_size=999_999_999_999_999))
    assert any("less than the largest upload allowed" in finding.text for finding in findings)


def test_the_disk_is_measured_without_leaving_anything(tmp_path: Path) -> None:
    """The median of a few syncs."""
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)

    assert sync_time(tmp_path, sync) >= 0
    assert synced == [4096, 8192, 12_288, 16_384, 20_480]
    assert list(tmp_path.iterdir()) == []


def test_slow_disks_and_missing_syncs_are_noted() -> None:
    """Neither keeps the server from working."""
    assert judge_sync(0.001, Settings()).text == "the disk takes 1.00 ms to make 4 KiB durable"
    assert judge_sync(0.2, Settings()).level is Level.NOTE
    assert "a power cut may lose bytes" in judge_sync(0.001, Settings(durability="os")).text


@pytest.mark.parametrize(
    ("hard", "may_raise", "level", "uploads"),
    [
        (20_512, False, Level.OK, 10_000),
        (resource.RLIM_INFINITY, False, Level.OK, None),
        (20_511, False, Level.NOTE, 9_999),
        (4096, False, Level.NOTE, 1792),
        (4096, True, Level.OK, 10_000),
        (63, False, Level.WRONG, 16),
    ],
)
def test_the_limit_of_open_files_is_judged_by_the_uploads_it_suffices_for(
    hard: int, may_raise: bool, level: Level, uploads: int | None
) -> None:
    """Ten thousand are enough; with fewer the remedy says where the hard limit is set."""
    finding = judge_files(hard, may_raise=may_raise)
    assert finding.level is level
    assert uploads is None or f"enough for {uploads} uploads at once" in finding.text
    ways = ("LimitNOFILE=20512", "--ulimit nofile=20512", "limits.conf")
    assert [way in finding.remedy for way in ways] == [level is not Level.OK] * 3


def test_a_clock_that_was_never_set_is_wrong() -> None:
    """Machines without a battery start in 1970."""
    assert judge_clock(0.0).text == "the clock says 1970-01-01: uploads would expire at the wrong time"
    assert judge_clock(NOW).level is Level.OK


def test_boot_id_and_sqlite_are_judged() -> None:
    """One is a note, the other keeps the server from starting."""
    assert judge_boot_id(None).level is Level.NOTE
    assert judge_boot_id("x").level is Level.OK
    assert judge_sqlite((3, 8, 3)) == Finding(
        Level.WRONG, "SQLite 3.8.3 is too old", "use a Python that brings SQLite 3.38 or newer"
    )
    assert judge_sqlite((3, 38, 0)).level is Level.OK


def test_an_extras_requirements_are_read_from_the_metadata() -> None:
    """Other extras, and requirements that depend on the system, are left out."""
    lines = [
        "starlette==1.2.3; extra == 'server'",
        'uvloop==1.0; (sys_platform != "win32") and extra == "server"',
        'zstandard ; extra == "server"',
        "minio==7; extra == 's3'",
        "always",
    ]
    assert requirements(lines, "server") == [("starlette", "1.2.3"), ("zstandard", "")]


def test_the_installed_extra_is_complete() -> None:
    """This very environment has what the server needs."""
    assert levels(check_extra("server")) == [Level.OK]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use_is_wrong_and_its_owner_is_named(taken: int) -> None:
    """By process id and name, where /proc tells."""
    assert owner_of(taken) == (os.getpid(), Path("/proc/self/comm").read_text().strip())
    (finding,) = check_address(Settings(port=taken), server=None)
    assert finding.level is Level.WRONG
    assert finding.text.startswith(f"process {os.getpid()} (")


def test_the_running_server_may_have_its_port(taken: int) -> None:
    """It is the one that holds the data folder."""
    (finding,) = check_address(Settings(port=taken), server=os.getpid())
    assert finding.level is Level.OK


def test_a_free_port_is_fine() -> None:
    """Port 0 is always free."""
    assert levels(check_address(Settings(port=0), server=None)) == [Level.OK]


def test_an_address_of_another_machine_is_wrong() -> None:
    """192.0.2.1 belongs to nobody (RFC 5737)."""
    findings = check_address(Settings(host="192.0.2.1", port=0), server=None)
    assert findings[0].level is Level.WRONG
    assert "no address of this machine" in findings[0].text


def test_a_host_that_is_not_known_is_wrong() -> None:
    """A name that cannot be resolved; looking it up asks nobody."""
    finding = check_address(Settings(host="256.256.256.256.", port=0), server=None)[0]
    assert (finding.level, "is not known" in finding.text) == (Level.WRONG, True)


def test_an_open_door_is_noted() -> None:
    """Everyone in the network may upload to 0.0.0.0."""
    findings = check_address(Settings(host="0.0.0.0", port=0), server=None)
    assert levels(findings) == [Level.OK, Level.NOTE]


def test_only_listeners_on_the_very_port_count() -> None:
    """By the columns of /proc/net/tcp."""
    lines = [
        "0: 0100007F:0438 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 111 1",
        "1: 0100007F:0438 0100007F:1234 01 00000000:00000000 00:00000000 00000000 0 0 222 1",
        "2: 0100007F:0439 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 333 1",
    ]
    assert listeners(lines, 1080) == {"111"}


async def test_a_folder_nobody_has_served_is_fine(tmp_path: Path) -> None:
    """There is nothing to compare."""
    assert levels(await check_records(Settings(data=tmp_path), NOW, verify=True)) == [Level.OK]


async def test_a_whole_folder_is_fine(tmp_path: Path) -> None:
    """Database and files belong together, and every upload can be read back."""
    async with data_folder(tmp_path) as folder:
        await folder.add(record_of(1, Phase.COMPLETE, DATA, at=NOW), DATA)
        await folder.add(record_of(2, Phase.RECEIVING, DATA, at=NOW, length=20), DATA)
    findings = await check_records(Settings(data=tmp_path), NOW, verify=True)
    assert levels(findings) == [Level.OK, Level.OK]
    assert findings[1].text == "read back 1 complete uploads, 10 B: every length and CRC64/NVME is right"


async def test_a_database_of_another_folder_is_wrong(tmp_path: Path) -> None:
    """The ids differ: nothing may run on the two together."""
    for name in ("one", "other"):
        async with data_folder(tmp_path / name):
            pass
    (tmp_path / "one" / "store.toml").write_bytes((tmp_path / "other" / "store.toml").read_bytes())
    (finding,) = await check_records(Settings(data=tmp_path / "one"), NOW, verify=False)
    assert finding.level is Level.WRONG
    assert "from the same backup" in finding.remedy


async def test_missing_halves_are_found(tmp_path: Path) -> None:
    """Files without a database are a note, a database without the folder's id is wrong."""
    async with data_folder(tmp_path):
        pass
    (tmp_path / "state.db").rename(tmp_path / "away.db")
    assert levels(await check_records(Settings(data=tmp_path), NOW, verify=False)) == [Level.NOTE]
    (tmp_path / "away.db").rename(tmp_path / "state.db")
    (tmp_path / "store.toml").unlink()
    assert levels(await check_records(Settings(data=tmp_path), NOW, verify=False)) == [Level.WRONG]


@pytest.mark.parametrize("name", ["store.toml", "state.db"])
async def test_damaged_files_are_found(tmp_path: Path, name: str) -> None:
    """Neither brings the doctor down."""
    async with data_folder(tmp_path):
        pass
    (tmp_path / name).write_bytes(b"rubbish" * 1000)
    assert levels(await check_records(Settings(data=tmp_path), NOW, verify=False)) == [Level.WRONG]


async def test_rows_from_the_future_tell_of_a_wrong_clock(tmp_path: Path) -> None:
    """The newest row is two hours ahead."""
    async with data_folder(tmp_path) as folder:
        await folder.add(record_of(1, Phase.EMPTY, at=NOW + 7200))
    findings = await check_records(Settings(data=tmp_path), NOW, verify=False)
    assert "2.0 hours in the future" in findings[1].text


async def test_failed_uploads_are_noted(tmp_path: Path) -> None:
    """Their reasons can be listed."""
    async with data_folder(tmp_path) as folder:
        await folder.add(record_of(1, Phase.FAILED))
    assert levels(await check_records(Settings(data=tmp_path), NOW, verify=False)) == [Level.OK, Level.NOTE]


async def test_every_kind_of_damage_is_found(tmp_path: Path) -> None:
    """A flipped bit, a lost tail, a tail too long, a missing file: each told with its upload."""
    async with data_folder(tmp_path) as folder:
        paths = {}
        for number in range(1, 6):
            upload_id = await folder.add(record_of(number, Phase.COMPLETE, DATA, filename=f"{number}.bin"), DATA)
            paths[number] = tmp_path / "files" / upload_id[:2] / upload_id
        paths[1].write_bytes(b"some bytEs")
        paths[2].write_bytes(DATA[:-1])
        paths[3].write_bytes(DATA + b"!")
        paths[4].unlink()
        findings = await verified(folder.state, folder.store)
    told = {finding.text.split(":")[0]: finding.text for finding in findings}
    assert levels(findings) == [Level.WRONG] * 4
    assert "bytes have changed" in told[f"upload {id_of(1)} (1.bin)"]
    assert "its file has 9 bytes, its row says 10" in told[f"upload {id_of(2)} (2.bin)"]
    assert "its file has 11 bytes, its row says 10" in told[f"upload {id_of(3)} (3.bin)"]
    assert "is missing" in told[f"upload {id_of(4)} (4.bin)"]


async def test_a_long_list_of_damage_is_cut(tmp_path: Path) -> None:
    """Twenty are told one by one, the rest are counted."""
    async with data_folder(tmp_path) as folder:
        for number in range(25):
            await folder.add(record_of(number, Phase.COMPLETE, DATA))
        findings = await verified(folder.state, folder.store)
    assert len(findings) == 21
    assert findings[-1].text == "5 more uploads are damaged"


def doctor(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """Run the command; its exit code and output."""
    code = main(["doctor", *argv])
    return code, capsys.readouterr().out


def test_the_command_prints_settings_with_sources_and_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves the folder as it was; the exit code follows from what it found."""
    monkeypatch.chdir(tmp_path)
    code, out = doctor(capsys, "--port", "0", "--max-size", "1GB")
    assert "max_size             1000000000 bytes" in out
    assert "--max-size" in out
    assert code == (1 if "\nWRONG" in out else 0)
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_are_findings_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, and the rest is still examined."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERRYMAN_MAXSIZE", "1")
    code, out = doctor(capsys, "--port", "x", "--workers", "2")
    assert code == 1
    assert "WRONG  FERRYMAN_MAXSIZE: there is no such variable; did you mean FERRYMAN_MAX_SIZE?" in out
    assert "WRONG  --port: 'x' cannot be used" in out
    assert "WRONG  --workers: 2 workers need PostgreSQL" in out
    assert "to make 4 KiB durable" in out


def test_it_works_beside_a_running_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """The server's own port is fine, and the folder's lock stays with it."""
    monkeypatch.chdir(tmp_path)
    with DataLock(tmp_path):
        _, out = doctor(capsys, "--data", str(tmp_path), "--port", str(taken))
    assert f"ok     the running server (process {os.getpid()}) listens on 127.0.0.1 port {taken}" in out
