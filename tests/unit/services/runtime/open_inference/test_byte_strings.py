from __future__ import annotations

import pytest

from services.runtime.open_inference.byte_strings import join_elements, split_elements, to_texts


def test_elements_come_back() -> None:
    elements = [b"", b"heist", "é".encode(), b"\x00" * 300]
    assert split_elements(join_elements(elements), 4) == elements


def test_texts_travel_as_utf_8() -> None:
    assert join_elements(["é"]) == b"\x02\x00\x00\x00\xc3\xa9"
    texts = to_texts(["é".encode(), b"a"], [2, 1])
    assert texts.tolist() == [["é"], ["a"]]


@pytest.mark.parametrize(
    ("content", "count", "words"),
    [
        (b"", 1, "too few"),
        (b"\x01\x00\x00", 1, "too few"),
        (b"\x05\x00\x00\x00abcd", 1, "element 0 has 5 bytes, but 4 are left"),
        (b"\xff\xff\xff\xffabcd", 1, "4,294,967,295"),
        (b"\x04\x00\x00\x00abcd", 2, "before the length of element 1"),
        (b"\x03\x00\x00\x00abcd", 1, "1 bytes after its last element"),
        (b"\x00\x00\x00\x00", 0, "4 bytes after"),
        (b"\x00\x00\x00\x00", 2**40, "too few"),
    ],
)
def test_lying_lengths_are_told(content: bytes, count: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        split_elements(content, count)


def test_an_element_that_is_no_text_is_told() -> None:
    with pytest.raises(ValueError, match="number 1"):
        to_texts([b"a", b"\xff"], [2])
