from __future__ import annotations

from services.orchestrator.catalog.content_models import MAXIMUM_TEXT_CHARACTERS, text_of


def test_a_text_names_title_tags_and_description() -> None:
    assert text_of("Heat", "A thief.", ["Crime", "Drama"]) == "Heat. Crime, Drama. A thief."


def test_what_is_missing_leaves_no_trace() -> None:
    assert text_of("Heat", "", []) == "Heat"
    assert text_of("Heat", " ", ["Crime"]) == "Heat. Crime"


def test_it_never_exceeds_what_the_text_service_takes() -> None:
    assert len(text_of("t" * 500, "d" * 10_000, ["g" * 64] * 50)) == MAXIMUM_TEXT_CHARACTERS
