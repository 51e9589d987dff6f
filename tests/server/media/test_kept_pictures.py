"""The pictures that were made last."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.kept_pictures import KeptPictures


def test_a_kept_picture_is_found_by_upload_and_tag() -> None:
    """The same tag in another upload is another picture."""
    kept = KeptPictures(100)
    kept.put(("a", '"1"'), b"one")
    assert kept.get(("a", '"1"')) == b"one"
    assert kept.get(("b", '"1"')) is None
    assert kept.get(("a", '"2"')) is None


def test_the_one_that_was_not_asked_for_longest_goes_first() -> None:
    """Asking for a picture keeps it longer."""
    kept = KeptPictures(100)
    for number in range(4):
        kept.put(("a", str(number)), bytes(25))
    kept.get(("a", "0"))
    kept.put(("a", "4"), bytes(25))
    assert [kept.get(("a", str(number))) is not None for number in range(5)] == [True, False, True, True, True]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40), st.booleans())))
def test_there_is_never_more_than_there_is_room(steps: list[tuple[int, int, bool]]) -> None:
    """Against a plain model: what is there is right, and all of it fits."""
    kept, model = KeptPictures(100), OrderedDict[int, bytes]()
    for number, size, put in steps:
        key, picture = ("a", str(number)), bytes([number]) * size
        if put:
            kept.put(key, picture)
            if number not in model and size <= 25:
                model[number] = picture
                while sum(map(len, model.values())) > 100:
                    model.popitem(last=False)
        else:
            assert kept.get(key) == model.get(number)
            if number in model:
                model.move_to_end(number)
