from __future__ import annotations

import pytest

from services.orchestrator.content.moderation.toxicity import combined


@pytest.mark.parametrize(
    ("transformer", "svm", "disguised", "expected"),
    [
        (None, None, False, None),
        (0.3, None, False, 0.3),
        (None, 0.8, False, 0.8),
        (0.1, 0.95, False, 0.525),
        (0.9, 0.1, False, 0.9),
        (0.1, 0.95, True, 0.95),
        (0.4, 0.2, True, 0.4),
    ],
)
def test_words_alone_make_a_person_look_and_a_disguise_is_taken_at_its_word(
    transformer: float | None, svm: float | None, disguised: bool, expected: float | None
) -> None:
    found = combined(transformer, svm, disguised=disguised)
    assert found == (None if expected is None else pytest.approx(expected))
