"""The stages of an archive's way to a medium, and what each one's time is."""

from typing import Final, Literal, TypeAlias

Stage: TypeAlias = Literal["receive", "wait", "index", "commit", "publish", "ready"]

STAGES: Final[dict[Stage, str]] = {
    "receive": "from an archive's creation to its last byte",
    "wait": "that an archive waited for its turn to be walked",
    "index": "in which an archive was read and walked",
    "commit": "in which what was found in an archive was kept",
    "publish": "of the transaction that makes a medium of an archive",
    "ready": "from an archive's last byte to its medium",
}
