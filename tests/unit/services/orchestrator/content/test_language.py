from __future__ import annotations

import pytest

from services.orchestrator.content.language import UNKNOWN, Language, identify, identify_all


@pytest.mark.parametrize(
    "english",
    [
        "What a gorgeous and witty film",
        "gg well played everyone",
        "lol nice shot bro",
        "he was an idiot and everybody knew it",
        "the café scene was great",
    ],
)
def test_english_is_english_however_short(english: str) -> None:
    assert identify(english).code == "en"
    assert identify(english).supported


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Das war ein wirklich guter Film mit tollen Schauspielern", "de"),
        ("C'est le meilleur film que j'ai vu cette ann\u00e9e", "fr"),
        ("Esta pel\u00edcula es muy aburrida y demasiado larga", "es"),
        ("\u042d\u0442\u043e \u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u043e", "ru"),
        ("\u8fd9\u90e8\u7535\u5f71\u975e\u5e38\u597d\u770b", "zh"),
    ],
)
def test_other_languages_are_told_and_not_supported(text: str, code: str) -> None:
    found = identify(text)
    assert found.code == code
    assert not found.supported


@pytest.mark.parametrize("short", ["qq", "1234", "\U0001f600\U0001f600", "\u200b", "?!", "qwzx"])
def test_what_cannot_be_told_is_unknown_and_answered(short: str) -> None:
    assert identify(short).code == UNKNOWN
    assert identify(short).supported


def test_regions_of_english_are_supported_and_no_other_language_that_starts_alike() -> None:
    assert Language("en-GB", 1).supported
    assert Language("EN", 1).supported
    assert not Language("enm", 1).supported


async def test_many_texts_are_identified_as_each_alone() -> None:
    texts = ["what a film", "Das war ein wirklich guter Film mit tollen Schauspielern", "gg"] * 100
    assert await identify_all(texts) == [identify(text) for text in texts]
