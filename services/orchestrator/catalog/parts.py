"""Splits long lists into parts that fit into one message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Entry = TypeVar("Entry")


def in_parts(
    entries: Iterable[Entry], maximum_count: int, size_of: Callable[[Entry], int], maximum_size: int
) -> Iterator[list[Entry]]:
    """Yield the entries in lists of at most `maximum_count` whose sizes add up to at most `maximum_size`.

    An entry that is larger than that alone gets a list of its own; no list is empty.

    >>> list(in_parts(["aaa", "b", "c", "ddddd"], 2, len, 4))
    [['aaa', 'b'], ['c'], ['ddddd']]
    """
    part: list[Entry] = []
    size = 0
    for entry in entries:
        entry_size = size_of(entry)
        if part and (len(part) == maximum_count or size + entry_size > maximum_size):
            yield part
            part, size = [], 0
        part.append(entry)
        size += entry_size
    if part:
        yield part
