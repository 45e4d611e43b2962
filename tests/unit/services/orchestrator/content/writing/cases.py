"""Reads the hand-written cases of the faithfulness check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from services.orchestrator.content.writing.facts import Facts, ReasonFact, usable_sentences
from services.orchestrator.content.writing.faithful import check_faithful
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.titles import read_title

_FILE = Path(__file__).parent / "faithful_cases.yaml"


@dataclass(frozen=True)
class Case:
    """A text that a model might write: its kind, the facts' name, the text; `kind` is empty for a faithful one."""

    kind: str
    facts: str
    text: str

    def check(self) -> list[Finding]:
        """Return what the check finds."""
        return check_faithful(self.text, all_facts()[self.facts], known_titles=frozenset(_content()["known_titles"]))


def refused_cases() -> list[Case]:
    """Return the texts that must be refused."""
    return [Case(kind, facts, text) for kind, cases in _content()["refused"].items() for facts, text in cases]


def faithful_cases() -> list[Case]:
    """Return the texts that must pass."""
    return [Case("", facts, text) for facts, text in _content()["faithful"]]


@lru_cache(maxsize=1)
def all_facts() -> Mapping[str, Facts]:
    """Return the facts by name."""
    return {name: _facts(fields) for name, fields in _content()["facts"].items()}


def _facts(fields: dict[str, Any]) -> Facts:
    title = read_title(fields["title"])
    names = ("kind", "maturity_age", "standing", "popular", "review_count", "rating", "rating_scale")
    given = {name: fields[name] for name in names if name in fields}
    reasons = []
    for kind, *rest in fields.get("reasons", ()):
        other, verb = [*rest, "", ""][:2]
        reasons.append(ReasonFact(kind, read_title(other).name if other else "", verb))
    return Facts(
        title=title,
        year=fields.get("year", title.year),
        genres=tuple(fields.get("genres", ())),
        sentences=usable_sentences(fields.get("description", "")),
        reasons=tuple(reasons),
        praised=tuple(fields.get("praised", ())),
        criticised=tuple(fields.get("criticised", ())),
        **given,
    )


@lru_cache(maxsize=1)
def _content() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
