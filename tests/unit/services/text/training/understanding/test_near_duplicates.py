from __future__ import annotations

from services.text.training.understanding.near_duplicates import groups

TEXTS = [
    "A gorgeous, witty, seductive movie.",
    "a gorgeous witty seductive movie",
    "It is a gorgeous, witty, seductive movie indeed",
    "A dull movie that forgets its own plot",
    "Nothing here is like the others at all",
]


def test_near_duplicates_share_a_group_and_others_do_not() -> None:
    found = groups(TEXTS)
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3


def test_groups_do_not_depend_on_the_order() -> None:
    forward = dict(zip(TEXTS, groups(TEXTS), strict=True))
    backward = dict(zip(TEXTS[::-1], groups(TEXTS[::-1]), strict=True))
    assert forward == backward
