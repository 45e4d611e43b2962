"""Checks that analysis and moderation share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.runtime.validation import Violations

MAXIMUM_TEXTS = 256
MAXIMUM_CHARACTERS = 10_000
LONGEST_LANGUAGE = 35
"""Characters that every BCP 47 tag in use fits into (RFC 5646, 4.4.1)."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def check_texts(check: Violations, texts: Sequence[str]) -> None:
    """Check the number of texts and each text."""
    if check.count("texts", texts, minimum=1, maximum=MAXIMUM_TEXTS):
        for index, text in enumerate(texts):
            check.text(f"texts[{index}]", text, maximum=MAXIMUM_CHARACTERS)


def check_language(check: Violations, language: str) -> None:
    """Check a language that the caller names, if any."""
    if not check.text("language", language, minimum=0, maximum=LONGEST_LANGUAGE):
        return
    if language and not _LANGUAGE.fullmatch(language):
        check.add("language", f"is {language[:40]!r}, which is no BCP 47 tag such as 'en' or 'pt-BR'")
