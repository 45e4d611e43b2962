"""Lists of words that the checks and the search of aspects share; data, in `data/words.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml

_FILE = Path(__file__).parent / "data" / "words.yaml"


def words(name: str) -> frozenset[str]:
    """Return a list of words by its name."""
    return frozenset(_table()[name].split())


@lru_cache(maxsize=1)
def _table() -> Mapping[str, str]:
    content: Mapping[str, str] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
