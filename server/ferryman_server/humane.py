"""Text for people: what strangers wrote made harmless for a terminal, sizes and durations in readable units."""


def printable(text: str) -> str:
    """The text with every control and other unprintable character shown as an escape, for instance `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text
    )


def human_size(size: int) -> str:
    """A size in bytes as people read it: `999 B`, `1.5 kB`, `64.0 MB` (powers of 1000)."""
    value = float(size)
    if value < 1000:
        return f"{size} B"
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def human_duration(seconds: float) -> str:
    """A duration as people read it, two units at most: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    for unit, size, small, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {small}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
