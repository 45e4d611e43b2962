"""The template realiser: sentences from `data/templates.yaml`, slots from facts, a seed that decides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Literal

import yaml

from services.orchestrator.content.writing.grammar import capitalised, ended

Style = Literal["plain", "warm", "lively"]
STYLES: tuple[Style, ...] = ("plain", "warm", "lively")
_FILE = Path(__file__).parent / "data" / "templates.yaml"
_SENTENCE_START = re.compile(r"(?<=[.!?] )\{|^\{")


@dataclass(frozen=True, slots=True)
class Template:
    """One sentence with slots.

    Attributes:
        text: with names of slots in braces.
        slots: those names, in the order of the text.
    """

    text: str
    slots: tuple[str, ...]

    @property
    def says(self) -> int:
        """How many facts it states; the noun is none."""
        return len(set(self.slots) - {"noun"})

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the sentence."""
        filled = _SENTENCE_START.sub("\0{", self.text).format_map(values)
        before, *parts = filled.split("\0")
        return ended(before + "".join(map(capitalised, parts)))


def candidates(part: str, style: Style, values: Mapping[str, str]) -> list[Template]:
    """Return the templates of a part whose slots all have values, those that say the most first."""
    usable = [template for template in _table()[part][style] if all(values.get(slot) for slot in template.slots)]
    return sorted(usable, key=lambda template: -template.says)


def choose(part: str, style: Style, values: Mapping[str, str], seed: int) -> Template | None:
    """Return one of the templates that say the most; the same arguments always give the same one."""
    usable = candidates(part, style, values)
    if not usable:
        return None
    most = [template for template in usable if template.says == usable[0].says]
    return most[draw(seed, part, len(most))]


def draw(seed: int, what: str, count: int) -> int:
    """Return a number from 0 to `count` - 1 that depends on nothing else; alike on every machine."""
    digest = hashlib.blake2b(f"{seed}\0{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % count


def template_words() -> frozenset[str]:
    """Return every word that a template holds, in lower case."""
    texts = [template.text for part in _table().values() for style in part.values() for template in style]
    return frozenset(word for text in texts for word in re.findall(r"[a-z']+", re.sub(r"\{\w+\}", " ", text).lower()))


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Mapping[Style, Sequence[Template]]]:
    content = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {
        part: {style: [_template(text) for text in styles[style]] for style in STYLES}
        for part, styles in content.items()
    }


def _template(text: str) -> Template:
    return Template(text, tuple(name for _, name, _, _ in Formatter().parse(text) if name))
