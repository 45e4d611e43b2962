from __future__ import annotations

import pytest

from services.orchestrator.content.request_checks import check_language, check_texts
from services.runtime.validation import Violations


@pytest.mark.parametrize(
    ("texts", "field", "limit"),
    [
        ([], "texts", "at least 1"),
        (["x"] * 257, "texts", "256"),
        (["fine", ""], "texts[1]", "empty"),
        (["\n\t\u3000"], "texts[0]", "white space"),
        (["x" * 10_001], "texts[0]", "10,000"),
    ],
)
def test_a_bad_text_is_named_with_the_limit(texts: list[str], field: str, limit: str) -> None:
    check = Violations()
    check_texts(check, texts)
    assert [found.field for found in check.found] == [field]
    assert limit in check.found[0].description


@pytest.mark.parametrize("language", ["", "en", "pt-BR", "zh-Hant-TW", "de-DE-1996"])
def test_languages_are_tags(language: str) -> None:
    check = Violations()
    check_language(check, language)
    assert not check.found


@pytest.mark.parametrize("language", ["e", "english", "en_GB", "en-", " en", "en" + "-variant" * 1_000])
def test_what_is_no_tag_is_refused(language: str) -> None:
    check = Violations()
    check_language(check, language)
    assert [found.field for found in check.found] == ["language"]
    assert len(check.found[0].description) < 200
