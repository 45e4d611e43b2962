"""Text to syntax tree. The grammar is that of `cel-python`: it gives a tree with places, which its peers do not."""

from __future__ import annotations

import threading
from typing import cast

from celpy.celparser import CELParseError, CELParser
from lark import Token, Tree

from services.orchestrator.recommend.filters.errors import FilterInvalid

MAXIMUM_LENGTH = 2_000
MAXIMUM_NESTING = 50
_LONGEST_OPERATOR = 2
_OPENING, _CLOSING = "([{", ")]}"

_parser = CELParser()
_gate = threading.Lock()


def parse(text: str) -> Tree[Token]:
    """Parse a filter.

    Raises:
        FilterInvalid: it is too long, too deep or no expression.
    """
    if len(text) > MAXIMUM_LENGTH:
        raise FilterInvalid(1, MAXIMUM_LENGTH + 1, f"has {len(text):,} characters; at most {MAXIMUM_LENGTH:,} may be")
    _check_nesting(text)
    try:
        with _gate:  # the parser keeps the text that it is at
            return cast("Tree[Token]", _parser.parse(text))
    except CELParseError as error:
        line, column = error.line or 1, error.column or 1
        raise FilterInvalid(line, column, _describe(text, line, column)) from None
    except Exception as error:
        # Its lexer has errors of several classes for what it cannot read.
        line, column = getattr(error, "line", 1), getattr(error, "column", 1)
        raise FilterInvalid(max(line, 1), max(column, 1), "cannot be read from here on") from None


def _describe(text: str, line: int, column: int) -> str:
    rest = text.split("\n")[line - 1][column - 1 :].strip() if line <= text.count("\n") + 1 else ""
    if len(rest) <= _LONGEST_OPERATOR and not rest.isalnum():
        return "the expression ends too early"
    return f"cannot be read from {rest[:20]!r} on; is an operator, a quote or a parenthesis missing?"


def _check_nesting(text: str) -> None:
    """Refuse what would exhaust the stack later: a chain of signs nests as parentheses do."""
    depth = signs = 0
    for place, character in enumerate(text):
        signs = signs + 1 if character in "!-" else (signs if character.isspace() else 0)
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth > MAXIMUM_NESTING or signs > MAXIMUM_NESTING:
            line = text.count("\n", 0, place) + 1
            column = place - text.rfind("\n", 0, place)
            raise FilterInvalid(line, column, f"is nested deeper than {MAXIMUM_NESTING} levels")
