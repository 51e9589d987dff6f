"""Why an archive is refused, in words for whoever packed it."""

from ferryman_server.humane import printable


class BadArchive(Exception):
    """The archive breaks a rule. `str()` says which entry, where and why; nothing of the archive is to be used."""

    def __init__(self, reason: str, *, entry: str | None = None, offset: int | None = None) -> None:
        """`entry`: the name of the one at fault; `offset`: the byte of the archive at which it shows."""
        self.reason = reason
        self.entry = entry
        self.offset = offset
        super().__init__(reason)

    def __str__(self) -> str:
        where = "" if self.offset is None else f"at byte {self.offset}"
        if self.entry is not None:
            where = f"entry {shown(self.entry)}" + (f" ({where})" if where else "")
        return f"{where}: {self.reason}" if where else self.reason


def shown(name: str) -> str:
    """A name in quotes, harmless on a terminal and of bounded length."""
    text = printable(name)
    return f"'{text}'" if len(text) <= 200 else f"'{text[:200]}…'"
