"""Real archives of real frames: one folder, packed by the programs and libraries that people pack with.

All of them hold the same files. They differ in what they say before an entry's bytes and what behind them, in the order
of the entries, in entries for folders, in how names are written: `shape` tells what a reader has to know of that.

An archive is kept in the user's cache, under a name with a digest of its recipe: this file, the frames, the version of
the program or the libraries.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Final

from tests.zips.film import frames_folder
from tests.zips.kept import kept

NODE: Final = Path(__file__).parent / "node"
TIMEOUT: Final = 60.0  # seconds
STORED: Final = zipfile.ZIP_STORED
DEFLATED: Final = zipfile.ZIP_DEFLATED
DEFLATED64: Final = 9  # zipfile has no name for it
METHODS: Final = {STORED: "stored", DEFLATED: "deflated", DEFLATED64: "Deflate64"}
_VERSION: Final = {"zip": "-v", "7z": "i", "bsdtar": "--version", "jar": "--version", "node": "--version"}


class Sizes(Enum):
    """Where an entry's sizes stand. A descriptor behind the bytes has the CRC too, and the header then has none."""

    HEADER = "sizes in the header"
    BEHIND = "sizes in a descriptor"
    BEHIND_WIDE = "sizes in a descriptor, of 64 bits"
    HALF = "unpacked size in the header, both in a descriptor"
    HALF_WIDE = "unpacked size in the header, both in a descriptor, of 64 bits"
    BOTH = "sizes in the header and in a descriptor"


@dataclass(frozen=True, slots=True)
class Producer:
    """One way to make an archive."""

    make: Callable[[Path, Path], None]  # makes the second path an archive of the folder that is the first
    version: Callable[[], str]  # of what makes it, with all else outside this file that the archive depends on
    method: int  # of the frames, APPNOTE 4.4.5
    sizes: Sizes  # of the frames
    besides: str  # what else is particular

    @property
    def descriptor(self) -> bool:
        """Whether a descriptor follows each frame: bit 3 of its flags."""
        return self.sizes is not Sizes.HEADER

    @property
    def shape(self) -> str:
        """What the archive is like, in words."""
        return ", ".join(filter(None, (METHODS[self.method], self.sizes.value, self.besides)))


def archive(producer_name: str, kind: str = "rgb565") -> Path:
    """The producer's archive of the frames of a kind (see film.py), made if the cache has none; leave it as it is.

    Raises KeyError for a producer or a kind that there is not, FileNotFoundError when what makes it is missing.
    """
    producer = PRODUCERS[producer_name]
    folder = frames_folder(kind)
    recipe = hashlib.sha256(Path(__file__).read_bytes() + f"{folder.name} {producer.version()}".encode())
    place = f"archives/{producer_name}-{kind}-{recipe.hexdigest()[:12]}.zip"
    return kept(place, lambda target: producer.make(folder, target))


def run(*command: str, folder: Path, typed: str = "") -> bytes:
    """Run a program in `folder`; what it wrote to a pipe. Raises RuntimeError, with its words, when it fails."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is missing: make test installs it")
    # What a person has set up would be part of the recipe: the standing options of zip, language, time zone.
    settings = {name: value for name, value in os.environ.items() if name not in {"ZIP", "ZIPOPT"}}
    settings |= {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(
        command, cwd=folder, env=settings, input=typed.encode(), capture_output=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr.decode()}\n{done.stdout[:1000]!r}")
    return done.stdout


@functools.cache
def version(program: str) -> str:
    """What a program says of itself."""
    return run(program, _VERSION[program], folder=Path()).decode()


def _files(folder: Path) -> list[str]:
    """The names of its files as a person would write them down: metadata.json, then the frames."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(names, key=lambda name: (name.count("/"), name))


def _program(command: str, method: int, sizes: Sizes, besides: str = "") -> Producer:
    """A program. TARGET is the archive's path; without it, the archive goes to a pipe. * is all that is in the folder,
    and -@ makes a program read the names of the files from a pipe."""

    def make(folder: Path, target: Path) -> None:
        inside = sorted(path.name for path in folder.iterdir())
        words = [each for word in command.split() for each in (inside if word == "*" else [word])]
        names = "\n".join(_files(folder)) if "-@" in words else ""
        written = run(*(str(target) if word == "TARGET" else word for word in words), folder=folder, typed=names)
        if "TARGET" not in words:
            target.write_bytes(written)

    return Producer(make, lambda: version(command.split()[0]), method, sizes, besides)


def _library(name: str, method: int, sizes: Sizes, besides: str = "") -> Producer:
    """One of the JavaScript libraries, by its name in node/make.mjs."""

    def make(folder: Path, target: Path) -> None:
        if not (NODE / "node_modules").is_dir():
            raise FileNotFoundError(f"{NODE}/node_modules is missing: scripts/js-packages tests/zips/node installs it")
        run("node", str(NODE / "make.mjs"), name, str(target), *_files(folder), folder=folder)

    def versions() -> str:
        return version("node") + "".join((NODE / each).read_text() for each in ("make.mjs", "package-lock.json"))

    return Producer(make, versions, method, sizes, besides)


def _zipfile(method: int, sizes: Sizes, *, piped: bool = False, zip64: bool = False, besides: str = "") -> Producer:
    """Python's zipfile, into a file or into a pipe."""

    def make(folder: Path, target: Path) -> None:
        with (
            target.open("wb") as file,
            _pipe(file) if piped else file as stream,
            zipfile.ZipFile(stream, "w") as made,
        ):
            for name in _files(folder):
                entry = zipfile.ZipInfo.from_file(folder / name, name)
                entry.compress_type = method
                with (folder / name).open("rb") as source, made.open(entry, "w", force_zip64=zip64) as packed:
                    shutil.copyfileobj(source, packed)

    return Producer(make, _python, method, sizes, besides)


@contextmanager
def _pipe(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """A pipe that ends in `file`: it has no position to ask for."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file) as cat:
        assert cat.stdin is not None
        yield cat.stdin


def _make_archive(folder: Path, target: Path) -> None:
    shutil.make_archive(str(target.with_suffix("")), "zip", folder)


def _python() -> str:
    return f"{sys.version} {zlib.ZLIB_RUNTIME_VERSION}"


_7Z: Final = "7z a -tzip -bso0 -bsp0"
_BSDTAR: Final = "bsdtar -c --format zip"
_BSDTAR_STORE: Final = f"{_BSDTAR} --options zip:compression=store"
_OWN_ORDER: Final = "entries in the file system's order"
_ZEROS: Final = f"zeros behind the end, {_OWN_ORDER}"
_LOCAL_64: Final = "zip64 in the local headers only"
_NO_64: Final = f"zip64 but in the directory's entries, {_OWN_ORDER}"
_LAST: Final = "metadata.json last"
_MANIFEST: Final = f"{_LAST}, META-INF/ first"

_JAVA: Final = {
    "jar": _program("jar -c -f TARGET -C . .", DEFLATED, Sizes.BEHIND, f"{_MANIFEST}, a folder that is deflated"),
    "jar-0": _program("jar -c -0 -f TARGET -C . .", STORED, Sizes.HEADER, _MANIFEST),
    "jar-no-manifest": _program("jar -c -M -f TARGET -C . .", DEFLATED, Sizes.BEHIND, _LAST),
}
PRODUCERS: Final[Mapping[str, Producer]] = {
    "zip-0": _program("zip -q -0 -r TARGET .", STORED, Sizes.HEADER, _OWN_ORDER),
    "zip-6": _program("zip -q -6 -r TARGET .", DEFLATED, Sizes.HEADER, _OWN_ORDER),
    "zip-0-piped": _program("zip -q -0 -r - .", STORED, Sizes.BOTH, _OWN_ORDER),
    "zip-6-piped": _program("zip -q -6 -r - .", DEFLATED, Sizes.HALF, _OWN_ORDER),
    "zip-names-piped": _program("zip -q -@ -", DEFLATED, Sizes.HALF),
    "zip-zip64": _program("zip -q -fz -0 -r TARGET .", STORED, Sizes.HEADER, f"zip64 everywhere, {_OWN_ORDER}"),
    "7z-0": _program(f"{_7Z} -mx0 TARGET .", STORED, Sizes.HEADER, _LAST),
    "7z-5": _program(f"{_7Z} -mx5 TARGET .", DEFLATED, Sizes.HEADER, _LAST),
    "7z-deflate64": _program(f"{_7Z} -mm=Deflate64 TARGET .", DEFLATED64, Sizes.HEADER, _LAST),
    "7z-5-piped": _program(f"{_7Z} -mx5 -an -so .", DEFLATED, Sizes.BEHIND, _LAST),  # -mx0 cannot be piped
    "bsdtar": _program(f"{_BSDTAR} -f TARGET *", DEFLATED, Sizes.HALF, _OWN_ORDER),
    "bsdtar-piped": _program(f"{_BSDTAR} -f - *", DEFLATED, Sizes.HALF, _ZEROS),
    "bsdtar-store": _program(f"{_BSDTAR_STORE} -f TARGET *", STORED, Sizes.BOTH, _OWN_ORDER),
    "bsdtar-store-piped": _program(f"{_BSDTAR_STORE} -f - *", STORED, Sizes.BOTH, _ZEROS),
    "bsdtar-dot": _program(f"{_BSDTAR} -f TARGET .", DEFLATED, Sizes.HALF, f"names begin with ./, {_OWN_ORDER}"),
    "bsdtar-zip64": _program(f"{_BSDTAR} --options zip:zip64 -f TARGET *", DEFLATED, Sizes.HALF_WIDE, _NO_64),
    "python-store": _zipfile(STORED, Sizes.HEADER),
    "python-deflate": _zipfile(DEFLATED, Sizes.HEADER),
    "python-store-piped": _zipfile(STORED, Sizes.BEHIND, piped=True),
    "python-deflate-piped": _zipfile(DEFLATED, Sizes.BEHIND, piped=True),
    "python-zip64": _zipfile(STORED, Sizes.HEADER, zip64=True, besides=_LOCAL_64),
    "python-zip64-piped": _zipfile(STORED, Sizes.BEHIND_WIDE, piped=True, zip64=True, besides=_LOCAL_64),
    "python-make-archive": Producer(_make_archive, _python, DEFLATED, Sizes.HEADER, _OWN_ORDER),
    **(_JAVA if shutil.which("jar") else {}),
    "jszip": _library("jszip", STORED, Sizes.HEADER),
    "jszip-stream": _library("jszip-stream", STORED, Sizes.BEHIND),
    "jszip-deflate": _library("jszip-deflate", DEFLATED, Sizes.HEADER),
    "jszip-deflate-stream": _library("jszip-deflate-stream", DEFLATED, Sizes.BEHIND),
    "fflate-0": _library("fflate-0", STORED, Sizes.HEADER),
    "fflate-6": _library("fflate-6", DEFLATED, Sizes.HEADER),
    "fflate-pass-through": _library("fflate-pass-through", STORED, Sizes.BEHIND),
    "fflate-deflate-0": _library("fflate-deflate-0", DEFLATED, Sizes.BEHIND, "bit 2, larger than unpacked"),
    "fflate-deflate-6": _library("fflate-deflate-6", DEFLATED, Sizes.BEHIND),
    "client-zip": _library("client-zip", STORED, Sizes.BEHIND),
    "client-zip-stream": _library("client-zip-stream", STORED, Sizes.BEHIND),
    "zipjs-0": _library("zipjs-0", STORED, Sizes.BEHIND),
    "zipjs-0-plain": _library("zipjs-0-plain", STORED, Sizes.HEADER),
    "zipjs-0-stream": _library("zipjs-0-stream", STORED, Sizes.BEHIND_WIDE, _LOCAL_64),
    "zipjs-6": _library("zipjs-6", DEFLATED, Sizes.BEHIND),
    "zipjs-6-stream": _library("zipjs-6-stream", DEFLATED, Sizes.BEHIND_WIDE, _LOCAL_64),
    "zipjs-6-zip64": _library("zipjs-6-zip64", DEFLATED, Sizes.BEHIND_WIDE, "zip64 everywhere"),
    "archiver-store": _library("archiver-store", STORED, Sizes.HEADER),
    "archiver-store-stream": _library("archiver-store-stream", STORED, Sizes.BEHIND),
    "archiver-deflate": _library("archiver-deflate", DEFLATED, Sizes.BEHIND),
    "archiver-deflate-stream": _library("archiver-deflate-stream", DEFLATED, Sizes.BEHIND),
    "archiver-zip64": _library("archiver-zip64", STORED, Sizes.BEHIND, "zip64 at the end only"),
    "yazl-store": _library("yazl-store", STORED, Sizes.HEADER),
    "yazl-store-stream": _library("yazl-store-stream", STORED, Sizes.BEHIND),
    "yazl-deflate": _library("yazl-deflate", DEFLATED, Sizes.HEADER),
    "yazl-deflate-stream": _library("yazl-deflate-stream", DEFLATED, Sizes.BEHIND),
    "yazl-zip64": _library("yazl-zip64", STORED, Sizes.BEHIND_WIDE, "zip64 in the directory and at the end only"),
}
"""The JDK's are there where one is installed; the others always are, once `make test` has set up what it needs."""
