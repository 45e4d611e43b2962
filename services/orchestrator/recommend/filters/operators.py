"""Operators on typed values: what they take, and how they run over columns."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.orchestrator.catalog.snapshot import Mask
from services.orchestrator.recommend.filters import strings
from services.orchestrator.recommend.filters.values import BOOL, DOUBLE, INT, LIST, NUMBERS, STRING, TAGS, Scope, Value

COMPARISONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "relation_lt": ("<", operator.lt),
    "relation_le": ("<=", operator.le),
    "relation_gt": (">", operator.gt),
    "relation_ge": (">=", operator.ge),
    "relation_eq": ("==", operator.eq),
    "relation_ne": ("!=", operator.ne),
}
ARITHMETIC: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "addition_add": ("+", operator.add),
    "addition_sub": ("-", operator.sub),
    "multiplication_mul": ("*", operator.mul),
}
_MIRRORED: dict[Callable[[Any, Any], Any], Callable[[Any, Any], Any]] = {
    operator.lt: operator.gt,
    operator.le: operator.ge,
    operator.gt: operator.lt,
    operator.ge: operator.le,
    operator.eq: operator.eq,
    operator.ne: operator.ne,
}


class Mismatch(TypeError):
    """The parts do not fit together; the message says which kinds they are."""


def compare(name: str, left: Value, right: Value) -> Value:
    """`left < right` and its like, of two numbers, two strings or two booleans (these: equality only)."""
    symbol, test = COMPARISONS[name]
    equality = symbol in ("==", "!=")
    numbers = left.kind in NUMBERS and right.kind in NUMBERS
    alike = left.kind == right.kind and (left.kind == STRING or (equality and left.kind == BOOL))
    if not (numbers or alike):
        hint = '; ask for a tag with "name" in tags' if TAGS in (left.kind, right.kind) else ""
        raise Mismatch(f"{symbol} cannot compare {left.kind} with {right.kind}{hint}")
    if left.constant and right.constant:
        answer = bool(test(left.read(_NOWHERE), right.read(_NOWHERE)))
        return Value(BOOL, lambda scope: answer, constant=True)
    if left.kind != STRING:
        return Value(BOOL, lambda scope: test(left.read(scope), right.read(scope)))
    if left.constant:
        left, right, test = right, left, _MIRRORED[test]
    if right.constant:
        fixed = right.read(_NOWHERE)
        return Value(BOOL, lambda scope: strings.mask(left.read(scope), lambda text: test(text, fixed)))
    return Value(BOOL, lambda scope: _pairs(test, left.read(scope), right.read(scope)))


def calculate(name: str, left: Value, right: Value) -> Value:
    """`left + right` and its like, of two numbers of one kind."""
    symbol, work = ARITHMETIC[name]
    if left.kind not in NUMBERS or left.kind != right.kind:
        raise Mismatch(f"{symbol} takes two int or two double here, not {left.kind} and {right.kind}")
    fixed = left.constant and right.constant
    return Value(left.kind, lambda scope: work(left.read(scope), right.read(scope)), constant=fixed)


def contains(member: Value, whole: Value) -> Value:
    """`member in whole`: a string in the tags, or a value in a list of constants."""
    if whole.kind == TAGS:
        if member.kind != STRING or not member.constant:
            raise Mismatch(f'"in tags" takes one quoted tag before it, not {member.kind}')
        tag = member.read(_NOWHERE)
        return Value(BOOL, lambda scope: _with_tag(scope, tag))
    if whole.kind != LIST:
        raise Mismatch(f"in takes tags or a list such as [1, 2] after it, not {whole.kind}")
    entries = whole.read(_NOWHERE)
    if any(entry.kind != member.kind and not {entry.kind, member.kind} <= set(NUMBERS) for entry in entries):
        raise Mismatch(f"in looks for {member.kind} in a list of {', '.join(sorted({e.kind for e in entries}))}")
    values = [entry.read(_NOWHERE) for entry in entries]
    if member.constant:
        found = member.read(_NOWHERE) in values
        return Value(BOOL, lambda scope: found, constant=True)
    if member.kind == STRING:
        wanted = frozenset(values)
        return Value(BOOL, lambda scope: strings.mask(member.read(scope), wanted.__contains__))
    return Value(BOOL, lambda scope: np.isin(member.read(scope), values))


def size(value: Value) -> Value:
    """`size(value)` of a string in characters, of the tags or of a list."""
    if value.kind == LIST:
        count = len(value.read(_NOWHERE))
        return Value(INT, lambda scope: count, constant=True)
    if value.kind not in (STRING, TAGS):
        raise Mismatch(f"size takes a string, tags or a list, not {value.kind}")
    if value.constant:
        length = len(value.read(_NOWHERE))
        return Value(INT, lambda scope: length, constant=True)
    return Value(
        INT, lambda scope: np.fromiter((len(entry) for entry in value.read(scope)), np.int64, count=len(scope))
    )


def negative(value: Value) -> Value:
    """`-value`."""
    if value.kind not in (INT, DOUBLE):
        raise Mismatch(f"- takes a number, not {value.kind}")
    return Value(value.kind, lambda scope: -value.read(scope), constant=value.constant)


def _pairs(test: Callable[[Any, Any], Any], left: Sequence[str], right: Sequence[str]) -> Mask:
    return np.fromiter((test(one, other) for one, other in zip(left, right, strict=True)), np.bool_, count=len(left))


def _with_tag(scope: Scope, tag: str) -> Mask:
    found = np.zeros(len(scope), np.bool_)
    tags = scope.snapshot.tags
    # The index does not mind the case; CEL does.
    found[[row for row in scope.snapshot.rows_with_tag(tag).tolist() if tag in tags[row]]] = True
    return found


_NOWHERE: Any = None
"""Constants are the same in every scope."""
