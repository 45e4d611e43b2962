"""Finds texts that are nearly the same, so that a split keeps them on one side."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

SHINGLE = 4
LEAST_OVERLAP = 0.5
# A run of words that this many texts share is a phrase of the language, not a sign of copying.
_COMMON = 50
_WORD = re.compile(r"\w+")


def groups(texts: Sequence[str]) -> list[int]:
    """Return a group number for each text; texts of one group are near-duplicates, directly or by others.

    Two texts are near-duplicates when they share four words in a row and at least half of their different words, or
    when they consist of the same words. The number is a hash of the group's first text in sorted order, so it does not
    depend on the order of `texts`.
    """
    words = [_WORD.findall(text.lower()) for text in texts]
    sets = [frozenset(each) for each in words]
    parents = list(range(len(texts)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    def join(holders: Sequence[int], overlap: float) -> None:
        for left, right in pairwise(holders):
            if len(sets[left] & sets[right]) >= overlap * max(1, len(sets[left] | sets[right])):
                parents[root(right)] = root(left)

    shingles: dict[object, list[int]] = defaultdict(list)
    for index, each in enumerate(words):
        shingles[sets[index]].append(index)
        for start in range(len(each) - SHINGLE + 1):
            shingles[tuple(each[start : start + SHINGLE])].append(index)
    for holders in shingles.values():
        if len(holders) <= _COMMON:
            for step in range(1, len(holders)):
                join(holders[::step], LEAST_OVERLAP)
        join(holders, 1.0)
    first: dict[int, str] = {}
    for index, each in enumerate(words):
        key = " ".join(each)
        first[root(index)] = min(first.get(root(index), key), key)
    return [zlib.crc32(first[root(index)].encode()) for index in range(len(texts))]
