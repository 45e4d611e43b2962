from __future__ import annotations

import pytest

from services.orchestrator.content.moderation.plain_characters import plain_characters


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("plain text, 100%", "plain text, 100%"),
        ("\uff48\uff45\uff4c\uff4c\uff4f", "hello"),
        ("\U0001d421\U0001d41e\U0001d425\U0001d425\U0001d428", "hello"),
        ("h\u200be\u2060l\u00adl\ufeffo", "hello"),
        ("\u202eolleh\u202c you", "hello you"),
        ("oh \u202eolleh", "oh hello"),
        ("\u202eolleh\nyou", "hello you"),
        ("\u202dhello\u202c", "hello"),
        ("café", "cafe"),
        ("h\u0301e\u0301l\u0301l\u0301o\u0301", "hello"),
        ("\u0441\u043eme on", "come on"),
        ("a\u3000b\tc\nd", "a b c d"),
        ("bell\x07 and nul\x00", "bell and nul"),
    ],
)
def test_lookalikes_are_read_and_what_nobody_sees_is_not(written: str, plain: str) -> None:
    found = plain_characters(written)
    assert found.text == plain
    assert found.changed == (written != plain)


@pytest.mark.parametrize(
    "foreign", ["\u042f \u043b\u044e\u0431\u043b\u044e", "\u65e5\u672c\u8a9e", "\u05e9\u05dc\u05d5\u05dd"]
)
def test_other_scripts_stay_what_they_are(foreign: str) -> None:
    assert plain_characters(foreign).text == foreign


def test_every_plain_character_knows_where_it_came_from() -> None:
    written = "a\u200bb \ufb01ne \u0301\U0001f600"
    found = plain_characters(written)
    assert len(found.places) == len(found.text)
    assert list(found.places) == sorted(found.places)
    assert found.text.startswith("ab fine")
    assert written[found.places[found.text.index("f")]] == written[found.places[found.text.index("i")]] == "\ufb01"
