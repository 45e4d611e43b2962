"""Values of a chart put together, as Helm puts several files together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(*all_values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values where later ones go before earlier ones, map by map."""
    result: dict[str, Any] = {}
    for values in all_values:
        for key, value in values.items():
            before = result.get(key)
            deeper = isinstance(before, Mapping) and isinstance(value, Mapping)
            result[key] = merged(before or {}, value) if deeper else value
    return result
