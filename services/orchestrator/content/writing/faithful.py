"""Whether a language model's text is faithful: it may only say what its facts say.

Refusing by a list of known tricks would let new ones through, so every check works the other way round: titles are
found and set apart, and each number, name, genre, claim and word of what is left must be in the facts or say nothing.
Measured on hand-written cases, `tests/unit/services/orchestrator/content/writing/faithful_cases.yaml`.
"""

from __future__ import annotations

from collections.abc import Set

from services.orchestrator.content.language import UNKNOWN, identify
from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.characters import check_characters
from services.orchestrator.content.writing.faithfulness.claims import check_claims
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.names import check_names
from services.orchestrator.content.writing.faithfulness.numbers import check_numbers
from services.orchestrator.content.writing.faithfulness.reading import MAIN, Reading, read
from services.orchestrator.content.writing.faithfulness.relations import check_relations
from services.orchestrator.content.writing.faithfulness.vocabulary import check_vocabulary

_NO_TITLES: frozenset[str] = frozenset()


def check_faithful(
    text: str, facts: Facts, *, most_characters: int = 2_000, known_titles: Set[str] = _NO_TITLES
) -> list[Finding]:
    """Return what a text says that its facts do not; nothing when it may be used.

    Args:
        text: what the model wrote.
        facts: everything that is true; nothing else is.
        most_characters: longest text that may be used.
        known_titles: titles of the catalogue with two words or more, folded by `names.folded_title`.
    """
    reading = read(text, facts)
    found = [
        *check_characters(text, reading, facts, most_characters),
        *check_names(reading, facts, known_titles),
        *check_numbers(reading, facts),
        *check_claims(reading, facts),
        *check_relations(reading, facts),
        *check_vocabulary(reading, facts),
        *_omissions(reading, facts),
    ]
    language = identify(reading.rest.replace("|", " "))
    if not found and language.code not in ("en", UNKNOWN):
        found.append(Finding("language", language.code, "is not English"))
    # A word that one of the other checks has named needs no second finding.
    named = {word for one in found if one.kind != "vocabulary" for word in one.found.lower().split()}
    return [one for one in dict.fromkeys(found) if one.kind != "vocabulary" or one.found.lower() not in named]


def _omissions(reading: Reading, facts: Facts) -> list[Finding]:
    """Return what must be said and is not: the item's title, and one of the titles that are its reasons."""
    named = {token.reference for token in reading.tokens if token.kind == "mention"}
    found = []
    if MAIN not in named:
        found.append(Finding("omission", facts.title.name[:100], "is the item's title, and the text does not name it"))
    titled = {
        place for place, reason in enumerate(facts.reasons) if reason.kind in ("history", "alike") and reason.title
    }
    if titled and not named & titled:
        found.append(Finding("omission", facts.reasons[min(titled)].title[:100], "is the reason, and is not named"))
    return found
