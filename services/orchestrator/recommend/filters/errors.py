"""What is wrong with a filter, and where."""

from __future__ import annotations

from typing import Any

from lark import Token, Tree


class FilterInvalid(ValueError):
    """A filter cannot be used; the message begins with line and column, both from 1."""

    def __init__(self, line: int, column: int, problem: str) -> None:
        super().__init__(f"line {line}, column {column}: {problem}")
        self.line = line
        self.column = column


def invalid(place: Tree[Token] | Token, problem: str) -> FilterInvalid:
    """Return the error for a part of a parsed filter."""
    token = _first_token(place)
    return FilterInvalid(getattr(token, "line", None) or 1, getattr(token, "column", None) or 1, problem)


def _first_token(place: Any) -> Any:
    while isinstance(place, Tree):
        if getattr(place.meta, "line", None):
            return place.meta
        if not place.children:
            return None
        place = place.children[0]
    return place
