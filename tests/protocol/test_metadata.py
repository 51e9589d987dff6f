"""tus Upload-Metadata: the vectors, and what must hold for every header value."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.metadata import Metadata, parse_metadata
from tests.protocol import vector_cases
from tests.protocol.vector_cases import Case

keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=10)


@vector_cases.each("metadata.json")
def test_vectors(case: Case) -> None:
    """Each case is read as it says, or refused where it says so."""
    if case.error:
        with pytest.raises(ValueError, match=r"^Upload-Metadata: "):
            parse_metadata(case.input)
        return
    found = parse_metadata(case.input).values
    assert [[key, base64.b64encode(value).decode()] for key, value in found.items()] == case.expect


@given(st.dictionaries(keys, st.binary(max_size=30), max_size=5))
def test_pairs_survive_the_round_trip(pairs: dict[str, bytes]) -> None:
    """Whatever bytes a client sends under a legal key are read back, in order."""
    header = ",".join(f"{key} {base64.b64encode(value).decode()}" for key, value in pairs.items())
    assert list(parse_metadata(header).values.items()) == list(pairs.items())


@given(st.text(st.sampled_from(list("abYQ=, \té\x00")), max_size=20) | st.text(max_size=20))
def test_any_text_is_read_or_refused(header: str) -> None:
    """Nothing but ValueError comes out; what is read means one header only."""
    try:
        found = parse_metadata(header).values
    except ValueError:
        return
    written = ",".join(f"{key} {base64.b64encode(value).decode()}".strip() for key, value in found.items())
    assert written == header.replace(" ,", ",").removesuffix(" ")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("a YQ==,,b", "pair 2 is empty"),
        ("a YQ==, b Yg==", "no space after a comma"),
        ("naïve YQ==", "'naïve': use visible ASCII"),
        ("a,b,a", "'a' comes twice, again in pair 3"),
        ("name Y!==", "the value of 'name': '!' at its character 1"),
        ("name YQ", "groups of 4"),
        ("name YR==", "unused bits"),
        ("name Y===", "misplaced|wrong"),
    ],
)
def test_the_refusal_says_which_pair_and_why(header: str, words: str) -> None:
    """The text names the pair or key, and what to change."""
    with pytest.raises(ValueError, match=words):
        parse_metadata(header)


def test_text_takes_the_first_key_that_is_there() -> None:
    """Clients call the same thing by several names."""
    metadata = Metadata(values={"name": b"a.zip", "type": b"video/mp4", "empty": b""})
    assert metadata.text("filename", "name") == "a.zip"
    assert metadata.text("empty", "name") == ""
    assert metadata.text("filename") is None


def test_text_that_is_not_utf8_is_shown_with_replacements() -> None:
    """An odd name never breaks an answer; its bytes stay in `values`."""
    metadata = Metadata(values={"filename": b"caf\xe9.zip"})
    assert metadata.text("filename") == "caf\ufffd.zip"
    assert metadata.values["filename"] == b"caf\xe9.zip"
