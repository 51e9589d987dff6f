"""What a check has found, in words for people."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # works, but somebody should know
    WRONG = "WRONG"  # will not work, or bytes may be lost


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what is so, and what to do about it if that is needed."""

    level: Level
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.level.value:<6} {self.text}"
        return f"{line}\n       → {self.remedy}" if self.remedy else line


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, text)


def note(text: str, remedy: str = "") -> Finding:
    """It works, but somebody should know."""
    return Finding(Level.NOTE, text, remedy)


def wrong(text: str, remedy: str) -> Finding:
    """It will not work, or bytes may be lost; the remedy says how to mend it."""
    return Finding(Level.WRONG, text, remedy)
