"""Predicates on strings: each runs once for each distinct value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import re2  # in linear time whatever the pattern, as CEL asks for

from services.orchestrator.catalog.snapshot import Mask

METHODS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
}
MATCHES = "matches"


class BadPattern(ValueError):
    """A regular expression cannot be read."""


def method(name: str, argument: str) -> Callable[[str], bool]:
    """Return the predicate `text.name(argument)`.

    Raises:
        BadPattern: the argument of `matches` is no RE2 expression.
    """
    if name != MATCHES:
        test = METHODS[name]
        return lambda text: test(text, argument)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        pattern = re2.compile(argument, options=options)  # type: ignore[no-untyped-call,unused-ignore]
    except re2.error as error:
        why = error.args[0] if error.args else "not readable"
        raise BadPattern(why.decode(errors="replace") if isinstance(why, bytes) else str(why)) from None
    return lambda text: pattern.search(text) is not None


def mask(values: Sequence[str], test: Callable[[str], Any]) -> Mask:
    """Return bool[N]: which values pass."""
    known: dict[str, bool] = {}
    found = np.empty(len(values), np.bool_)
    for place, value in enumerate(values):
        passed = known.get(value)
        if passed is None:
            passed = known[value] = bool(test(value))
        found[place] = passed
    return found
