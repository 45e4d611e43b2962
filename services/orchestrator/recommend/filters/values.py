"""What the parts of a filter are while it is compiled: constants, columns of the catalogue, and masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask

BOOL, INT, DOUBLE, STRING, TAGS, LIST = "bool", "int", "double", "string", "list of tags", "list"
NUMBERS = (INT, DOUBLE)


@dataclass(frozen=True)
class Scope:
    """What a column has one entry for: each item, or, inside `tags.exists(t, …)`, each distinct tag.

    Attributes:
        snapshot: the catalogue.
        tags: distinct tags when these are the entries, else None.
    """

    snapshot: CatalogSnapshot
    tags: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.snapshot) if self.tags is None else len(self.tags)


@dataclass(frozen=True)
class Value:
    """A typed part of a filter.

    Attributes:
        kind: one of the kinds above.
        read: gives the value for a scope: a constant, or an array (a list of strings) with an entry each.
        constant: the value is the same for all entries; `read` gives it bare.
        variable: the value is an entry of the innermost `exists` or `all`, or made from one.
    """

    kind: str
    read: Callable[[Scope], Any]
    constant: bool = False


def constant(kind: str, value: Any) -> Value:
    """Return a constant."""
    return Value(kind, lambda scope: value, constant=True)


def as_mask(value: Value, scope: Scope) -> Mask:
    """Return bool[N] of a boolean value."""
    found = value.read(scope)
    return np.full(len(scope), found, dtype=np.bool_) if value.constant else np.asarray(found, dtype=np.bool_)


def item_fields() -> dict[str, Value]:
    """Return the fields of an item by their names."""
    return {
        "item_id": Value(STRING, lambda scope: scope.snapshot.item_ids),
        "title": Value(STRING, lambda scope: scope.snapshot.titles),
        "tags": Value(TAGS, lambda scope: scope.snapshot.tags),
        "maturity_age": Value(INT, lambda scope: scope.snapshot.maturity_ages),
        "release_year": Value(INT, lambda scope: scope.snapshot.release_years),
    }
