"""curl, run as a person would run it, with its answers taken apart."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TIMEOUT: Final = 60.0  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The head of one answer, interim or final."""

    status: int
    headers: dict[str, str]  # names in lower case


@dataclass(frozen=True, kw_only=True, slots=True)
class Curled:
    """What a run of curl brought."""

    exit: int  # 0: it got its answer; 52, 55, 56: the connection broke
    answers: list[Answer]
    body: bytes
    words: str  # what it said on standard error

    @property
    def final(self) -> Answer:
        """The last answer. Fails when the connection broke before it."""
        assert self.exit == 0, self
        assert self.answers[-1].status >= 200, self
        return self.answers[-1]

    def location(self) -> str:
        """The path that the first answer with a Location told."""
        return next(answer.headers["location"] for answer in self.answers if "location" in answer.headers)


def curl(*arguments: str | Path, stdin: bytes | None = None) -> Curled:
    """Run curl with these arguments; `stdin` is what `@-` and `-T -` read."""
    with tempfile.TemporaryDirectory() as folder:
        heads, body = Path(folder) / "heads", Path(folder) / "body"
        command = ["curl", "-sS", "--noproxy", "*", "-D", heads, "-o", body, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=TIMEOUT, check=False)
        return Curled(
            exit=done.returncode,
            answers=_answers(heads.read_text() if heads.exists() else ""),
            body=body.read_bytes() if body.exists() else b"",
            words=done.stderr.decode(),
        )


def _answers(text: str) -> list[Answer]:
    found = []
    for block in text.split("\n\n"):
        first, *fields = block.strip().splitlines() or [""]
        if first:
            headers = dict(line.split(": ", 1) for line in fields)
            found.append(
                Answer(
                    status=int(first.split(" ")[1]), headers={name.lower(): value for name, value in headers.items()}
                )
            )
    return found
