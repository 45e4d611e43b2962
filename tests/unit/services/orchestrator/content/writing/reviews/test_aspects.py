from __future__ import annotations

from services.orchestrator.content.writing.reviews.aspects import mentions
from services.orchestrator.content.writing.reviews.clauses import clauses_of

REVIEWS = [
    "The acting is superb. The dragons look cheap.",
    "Superb performances, and the dragons are fun.",
    "I hated the storyline. The dragons move too slowly. The film is long.",
    "The film is what the film is.",
]


def found(texts: list[str], wanted: list[str] | None = None) -> dict[str, int]:
    clauses = clauses_of(texts, range(len(texts)))
    return {
        aspect: len({clauses[place].review for place in places})
        for aspect, places in mentions(clauses, wanted or ()).items()
    }


def test_known_aspects_and_frequent_nouns_are_found() -> None:
    assert found(REVIEWS) == {"dragons": 3, "acting": 2, "story": 1}


def test_what_says_nothing_is_no_aspect() -> None:
    assert "film" not in found(["The film is good."] * 10)
    assert "beautiful" not in found(["The beautiful is good."] * 10)


def test_the_callers_own_aspects_are_the_only_ones() -> None:
    assert found(REVIEWS, ["dragons", "frame rate"]) == {"dragons": 3}
