"""Names of entries that cannot stand beside each other, whatever lies between them."""

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.zip_errors import BadArchive
from ferryman_server.media.zip_names import Names

SEGMENTS = st.sampled_from(["a", "A", "b", "c1", "c2", "c3", ".", "", "ä", "a\u0308"])
NAMES = st.lists(
    st.builds(
        lambda parts, end: "/".join(parts) + end, st.lists(SEGMENTS, min_size=1, max_size=4), st.sampled_from(["", "/"])
    ).filter(lambda name: name.strip("/.") != ""),
    max_size=12,
)


def taken(names: Names, name: str) -> bool:
    """Whether one more name may stand there."""
    try:
        names.add(name)
    except BadArchive:
        return False
    return True


def folded(name: str) -> tuple[str, ...]:
    """A path as the least careful system has it."""
    plain = name.replace("a\u0308", "ä").lower()
    return tuple(part for part in plain.split("/") if part not in ("", "."))


@given(names=NAMES)
def test_no_two_names_are_one_file_or_both_file_and_folder(names: list[str]) -> None:
    """The rule, told in another way: each is held against all before it."""
    walked = Names()
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    parents: set[tuple[str, ...]] = set()
    for name in names:
        path, is_folder = folded(name), name.endswith("/")
        above = {path[:count] for count in range(1, len(path))}
        twice = path in (folders if is_folder else files)
        mixed = path in files if is_folder else path in folders | parents
        expected = not (twice or mixed or above & files)
        assert taken(walked, name) == expected
        if not expected:
            return
        (folders if is_folder else files).add(path)
        parents |= above


@given(count=st.integers(2, 50), twice=st.integers(0, 48))
def test_many_files_of_one_folder_are_told_apart(count: int, twice: int) -> None:
    """As frames are named; one that comes again is refused, in other letters too."""
    names = Names()
    assert all(taken(names, f"frames/f{n:03}.rgb") for n in range(count))
    assert not taken(names, f"Frames/F{min(twice, count - 1):03}.RGB")
    assert not taken(names, "frames")
    assert taken(names, "frames/")
