"""BYTES tensors: each element is its length in four little-endian bytes, and then its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any

import numpy
import numpy.typing

_LENGTH = Struct("<I")


def split_elements(content: bytes, count: int) -> list[bytes]:
    """Return the `count` elements of a raw BYTES tensor.

    Raises:
        ValueError: a length leads beyond the content, or bytes are left over; the text says which element.
    """
    # Elements take four bytes at least; a shape must not make us reserve room for more than there can be.
    if count * _LENGTH.size > len(content):
        raise ValueError(f"has {len(content):,} bytes, too few for {count:,} elements with their lengths")
    elements: list[bytes] = []
    place, end = 0, len(content)
    for index in range(count):
        if place + _LENGTH.size > end:
            raise ValueError(f"ends before the length of element {index}")
        (length,) = _LENGTH.unpack_from(content, place)
        place += _LENGTH.size
        if length > end - place:
            raise ValueError(f"says element {index} has {length:,} bytes, but {end - place:,} are left")
        elements.append(content[place : place + length])
        place += length
    if place != end:
        raise ValueError(f"has {end - place:,} bytes after its last element")
    return elements


def join_elements(elements: Iterable[object]) -> bytes:
    """Return the raw form of the elements, texts as UTF-8."""
    parts: list[bytes] = []
    for element in elements:
        content = element if isinstance(element, bytes) else str(element).encode()
        parts.append(_LENGTH.pack(len(content)))
        parts.append(content)
    return b"".join(parts)


def to_texts(elements: Sequence[bytes], shape: Sequence[int]) -> numpy.typing.NDArray[Any]:
    """Return the elements as texts, which is what models take; object array of that shape.

    Raises:
        ValueError: an element is not UTF-8.
    """
    array = numpy.empty(len(elements), numpy.object_)
    for index, element in enumerate(elements):
        try:
            array[index] = element.decode()
        except UnicodeDecodeError:
            raise ValueError(f"holds an element that is not UTF-8 text: number {index}") from None
    return array.reshape(shape)
