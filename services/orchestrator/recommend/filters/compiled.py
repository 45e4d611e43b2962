"""A syntax tree becomes functions over columns. Nothing is evaluated item by item but distinct strings.

Semantics are those of the Common Expression Language definition (cel.dev, language definition), restricted to what has
one answer for each item; what is left out is refused with its place.
"""

from __future__ import annotations

import difflib
import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import chain

import numpy as np
from celpy.evaluation import celstr
from lark import Token, Tree

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask, frozen
from services.orchestrator.recommend.filters import operators, strings
from services.orchestrator.recommend.filters.errors import FilterInvalid, invalid
from services.orchestrator.recommend.filters.operators import Mismatch
from services.orchestrator.recommend.filters.parsing import parse
from services.orchestrator.recommend.filters.values import (
    BOOL,
    DOUBLE,
    INT,
    LIST,
    STRING,
    TAGS,
    Scope,
    Value,
    as_mask,
    constant,
    item_fields,
)

_MOST_COMPILED = 1_000
_MOST_MASKS = 8
_INT_LIMIT = 2**63


class CompiledFilter:
    """A filter that is ready to run.

    Attributes:
        text: as the caller wrote it.
    """

    def __init__(self, text: str, condition: Value) -> None:
        self.text = text
        self._condition = condition
        # Of the newest snapshots; several tenants may write the same filter. Snapshots that differ in
        # statistics only, which no filter reads, share their index of ids and their sequence.
        self._masks: OrderedDict[tuple[int, int], tuple[object, Mask]] = OrderedDict()

    def mask(self, snapshot: CatalogSnapshot) -> Mask:
        """Return bool[N], read-only: the items that pass."""
        key = (id(snapshot.rows), snapshot.sequence)
        known = self._masks.get(key)
        if known is not None and known[0] is snapshot.rows:
            return known[1]
        found = frozen(as_mask(self._condition, Scope(snapshot)).copy())
        self._masks[key] = (snapshot.rows, found)
        while len(self._masks) > _MOST_MASKS:
            self._masks.popitem(last=False)
        return found


@functools.lru_cache(_MOST_COMPILED)
def compile_filter(text: str) -> CompiledFilter:
    """Compile a filter.

    Raises:
        FilterInvalid: with line and column of what cannot be read, is unknown or does not fit.
    """
    tree = parse(text)
    condition = _Compiler(item_fields()).compile(tree)
    if condition.kind != BOOL:
        raise invalid(tree, f"a filter must be true or false for each item; this is {condition.kind}")
    return CompiledFilter(text, condition)


class _Compiler:
    def __init__(self, names: Mapping[str, Value], where: str = "an item has") -> None:
        self._names = names
        self._where = where

    def compile(self, tree: Tree[Token]) -> Value:
        children = _present(tree)
        if tree.data in _PASSED_ON and len(children) == 1:
            return self.compile(_tree(children[0]))
        try:
            return self._dispatch(tree, children)
        except Mismatch as error:
            raise invalid(tree, str(error)) from None

    def _dispatch(self, tree: Tree[Token], parts: list[Tree[Token] | Token]) -> Value:
        work: dict[str, Callable[[list[Tree[Token] | Token]], Value]] = {
            "expr": self._choice,
            "conditionalor": lambda parts: self._logic(np.logical_or, parts),
            "conditionaland": lambda parts: self._logic(np.logical_and, parts),
            "relation": self._binary,
            "addition": self._binary,
            "multiplication": self._binary,
            "unary": self._unary,
            "member_dot_arg": self._method,
            "ident_arg": self._function,
            "ident": self._field,
            "literal": lambda parts: _literal(parts[0]),
            "list_lit": self._list,
        }
        name = str(tree.data)
        if name not in work:
            raise invalid(tree, f"{_MISSING.get(name, 'this')} cannot be used in a filter")
        return work[name](parts)

    def _any(self, tree: Tree[Token] | Token) -> Value:
        return self.compile(_tree(tree))

    def _boolean(self, tree: Tree[Token] | Token) -> Value:
        value = self._any(tree)
        if value.kind != BOOL:
            raise invalid(tree, f"a condition is needed here; this is {value.kind}")
        return value

    def _choice(self, parts: list[Tree[Token] | Token]) -> Value:
        condition, yes, no = self._boolean(parts[0]), self._any(parts[1]), self._any(parts[2])
        if yes.kind != no.kind or yes.kind not in (BOOL, INT, DOUBLE):
            raise Mismatch(f"both sides of : must be conditions or numbers of one kind, not {yes.kind} and {no.kind}")
        return Value(yes.kind, lambda scope: np.where(as_mask(condition, scope), yes.read(scope), no.read(scope)))

    def _logic(self, join: Callable[[Mask, Mask], Mask], parts: list[Tree[Token] | Token]) -> Value:
        left, right = self._boolean(parts[0]), self._boolean(parts[1])
        return Value(BOOL, lambda scope: join(as_mask(left, scope), as_mask(right, scope)))

    def _binary(self, parts: list[Tree[Token] | Token]) -> Value:
        operation = _tree(parts[0])
        name = str(operation.data)
        left, right = self._any(operation.children[0]), self._any(parts[1])
        if name in operators.COMPARISONS:
            return operators.compare(name, left, right)
        if name in operators.ARITHMETIC:
            return operators.calculate(name, left, right)
        if name == "relation_in":
            return operators.contains(left, right)
        raise Mismatch(f"{_MISSING[name]} cannot be used in a filter")

    def _unary(self, parts: list[Tree[Token] | Token]) -> Value:
        if _tree(parts[0]).data == "unary_neg":
            return operators.negative(self._any(parts[1]))
        value = self._boolean(parts[1])
        return Value(BOOL, lambda scope: ~as_mask(value, scope))

    def _field(self, parts: list[Tree[Token] | Token]) -> Value:
        name = parts[0]
        value = self._names.get(str(name))
        if value is None:
            known = ", ".join(self._names)
            near = difflib.get_close_matches(str(name), self._names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise invalid(name, f"{str(name)[:64]!r} is unknown; {self._where} {known}{hint}")
        return value

    def _list(self, children: list[Tree[Token] | Token]) -> Value:
        entries = [self._any(one) for one in (_tree(children[0]).children if children else [])]
        if any(not entry.constant or entry.kind in (LIST, TAGS) for entry in entries):
            raise Mismatch("a list holds numbers, strings, true or false")
        return constant(LIST, entries)

    def _function(self, children: list[Tree[Token] | Token]) -> Value:
        name, *rest = children
        arguments = list(_tree(rest[0]).children) if rest else []
        if name != "size":
            raise invalid(name, f"there is no function {str(name)[:64]!r}; there is size")
        if len(arguments) != 1:
            raise invalid(name, f"size takes one argument, not {len(arguments)}")
        return operators.size(self._any(arguments[0]))

    def _method(self, children: list[Tree[Token] | Token]) -> Value:
        receiver, name, *rest = children
        value, called = self._any(receiver), str(name)
        arguments = list(_tree(rest[0]).children) if rest else []
        if called == "size" and not arguments:
            return operators.size(value)
        if value.kind == TAGS and called in ("exists", "all"):
            return self._macro(called, name, arguments)
        if value.kind == STRING and (called in strings.METHODS or called == strings.MATCHES):
            return self._predicate(value, name, arguments)
        known = {STRING: [*strings.METHODS, strings.MATCHES, "size"], TAGS: ["exists", "all", "size"]}.get(value.kind)
        kinds = f"{value.kind} has {', '.join(known)}" if known else f"{value.kind} has none"
        raise invalid(name, f"there is no method {called[:64]!r} here; {kinds}")

    def _predicate(self, value: Value, name: Tree[Token] | Token, arguments: list[Tree[Token] | Token]) -> Value:
        argument = self._any(arguments[0]) if len(arguments) == 1 else None
        if argument is None or argument.kind != STRING or not argument.constant:
            raise invalid(name, f"{name} takes one quoted string")
        try:
            test = strings.method(str(name), argument.read(_NO_SCOPE))
        except strings.BadPattern as error:
            raise invalid(arguments[0], f"is no RE2 expression: {error}") from None
        if value.constant:
            return constant(BOOL, test(value.read(_NO_SCOPE)))
        return Value(BOOL, lambda scope: strings.mask(value.read(scope), test))

    def _macro(self, called: str, name: Tree[Token] | Token, arguments: list[Tree[Token] | Token]) -> Value:
        variable = _identifier(arguments[0]) if len(arguments) == 2 else ""
        if not variable:
            raise invalid(name, f'{called} takes a name and a condition on it, as in tags.{called}(t, t != "x")')
        names = {variable: Value(STRING, lambda scope: scope.tags)}
        inner = _Compiler(names, f"inside {called} there is only the tag itself,")._boolean(arguments[1])
        return Value(BOOL, lambda scope: _over_tags(called, inner, scope.snapshot))


def _over_tags(called: str, condition: Value, snapshot: CatalogSnapshot) -> Mask:
    distinct = tuple(sorted(set(chain.from_iterable(snapshot.tags))))
    passed = as_mask(condition, Scope(snapshot, distinct))
    chosen = {tag for tag, one in zip(distinct, passed.tolist(), strict=True) if one == (called == "exists")}
    hit = np.fromiter((not chosen.isdisjoint(tags) for tags in snapshot.tags), np.bool_, count=len(snapshot))
    return hit if called == "exists" else ~hit


def _identifier(tree: Tree[Token] | Token) -> str:
    """Return the name that an expression consists of; empty when it is something else."""
    while isinstance(tree, Tree):
        children = _present(tree)
        if len(children) != 1:
            return ""
        if tree.data == "ident":
            return str(children[0])
        tree = children[0]
    return ""


def _literal(token: Tree[Token] | Token) -> Value:
    if not isinstance(token, Token):
        raise invalid(token, "cannot be read")
    kind, text = token.type, str(token)
    if kind == "INT_LIT":
        number = int(text, 16 if "x" in text else 10)
        if not -_INT_LIMIT <= number < _INT_LIMIT:
            raise invalid(token, "does not fit into 64 bits")
        return constant(INT, number)
    if kind == "FLOAT_LIT":
        return constant(DOUBLE, float(text))
    if kind in ("STRING_LIT", "MLSTRING_LIT"):
        return constant(STRING, str(celstr(token)))
    if kind == "BOOL_LIT":
        return constant(BOOL, text == "true")
    raise invalid(token, f"{text[:20]!r} cannot be used in a filter; there are strings, int, double, true and false")


def _present(tree: Tree[Token]) -> list[Tree[Token] | Token]:
    """Return the parts that were written; the parser puts None for the others, which its types do not tell."""
    parts: list[Tree[Token] | Token | None] = [*tree.children]
    return [part for part in parts if part is not None]


def _tree(part: Tree[Token] | Token) -> Tree[Token]:
    if not isinstance(part, Tree):
        raise FilterInvalid(1, 1, "cannot be read")
    return part


_NO_SCOPE = Scope.__new__(Scope)
_PASSED_ON = frozenset(
    ("expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member", "primary")
) | {"paren_expr"}
_MISSING = {
    "multiplication_div": "/",
    "multiplication_mod": "%",
    "member_dot": "a field of a field",
    "member_index": "an index",
    "member_object": "a message",
    "map_lit": "a map",
    "dot_ident": "a name with a leading dot",
    "dot_ident_arg": "a name with a leading dot",
}
