"""Puts sentences together to a text that is no longer than asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.orchestrator.content.writing.templates import Style, Template, candidates, choose, draw
from services.orchestrator.content.writing.titles import shortened


@dataclass(frozen=True)
class Composed:
    """A text, and the slots that it states, in the order they are stated."""

    text: str
    slots: tuple[str, ...]


def compose(parts: Sequence[str], style: Style, values: Mapping[str, str], seed: int, most_characters: int) -> Composed:
    """Return one sentence of each part that has something to say, as far as the text stays short enough.

    The first part always speaks; where even its shortest sentence is too long, the sentence is cut with "…". No fact
    that an earlier sentence stated is stated again.
    """
    sentences: list[str] = []
    slots: list[str] = []
    for part in parts:
        left = {
            slot: "" if slot in slots and slot not in ("title", "noun") else value for slot, value in values.items()
        }
        if "kind" in slots or "mix" in slots:
            left["kind"] = left["mix"] = ""
        template = choose(part, style, left, seed)
        room = most_characters - sum(len(sentence) + 1 for sentence in sentences)
        sentence = template.fill(left) if template else ""
        if template is None or len(sentence) > room:
            template, sentence = _that_fits(part, style, left, seed, room)
        if template is None:
            continue
        sentences.append(sentence)
        slots += [slot for slot in template.slots if slot not in slots]
    if not sentences:
        shortest = min(candidates(parts[0], style, values), key=lambda template: len(template.fill(values)))
        return Composed(shortened(shortest.fill(values), most_characters), shortest.slots)
    return Composed(" ".join(sentences), tuple(slots))


def _that_fits(part: str, style: Style, values: Mapping[str, str], seed: int, room: int) -> tuple[Template | None, str]:
    fitting = [
        (template, filled)
        for template in candidates(part, style, values)
        if len(filled := template.fill(values)) <= room
    ]
    if not fitting:
        return None, ""
    most = [pair for pair in fitting if pair[0].says == fitting[0][0].says]
    return most[draw(seed, part, len(most))]
