"""Which labels become tags."""

from __future__ import annotations

import pytest

from marquee.common.v1.media_pb2 import MediaLabel
from services.orchestrator.content.media.attachment import LONGEST_TAG, MOST_TAGS, new_tags
from services.orchestrator.content.media.wishes import AttachmentWish

LABELS = [MediaLabel(label=label, probability=probability) for label, probability in (("Cat", 0.9), ("dog", 0.6))]


@pytest.mark.parametrize(
    ("present", "least", "count", "expected"),
    [
        ([], 0.5, 5, ["Cat", "dog"]),
        ([], 0.7, 5, ["Cat"]),
        ([], 0.5, 1, ["Cat"]),
        (["cAT"], 0.5, 5, ["dog"]),
        (["x"] * (MOST_TAGS - 1), 0.5, 5, ["Cat"]),
        (["x"] * MOST_TAGS, 0.5, 5, []),
    ],
)
def test_the_surest_labels_that_are_new_and_fit(
    present: list[str], least: float, count: int, expected: list[str]
) -> None:
    assert new_tags(present, LABELS, AttachmentWish("item", least, count)) == expected


def test_the_surest_come_first_and_what_is_no_tag_is_left_out() -> None:
    labels = [
        MediaLabel(label="later", probability=0.6),
        MediaLabel(label="x" * (LONGEST_TAG + 1), probability=0.99),
        MediaLabel(label="  ", probability=0.98),
        MediaLabel(label="first", probability=0.7),
        MediaLabel(label="First", probability=0.65),
    ]
    assert new_tags([], labels, AttachmentWish("item", 0.5, 5)) == ["first", "later"]
