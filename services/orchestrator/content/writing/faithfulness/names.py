"""Names: every capitalised word, quotation and known title is in the facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import MAIN, Reading, Token, straightened

_QUOTED = re.compile(r"\"([^\"]*)\"?|(?<!\w)'((?:[^']|'(?=\w))+)'(?!\w)")
_LONGEST_TITLE = 8


def check_names(reading: Reading, facts: Facts, known_titles: Set[str]) -> Iterator[Finding]:
    """Yield names that no fact holds.

    Args:
        reading: the text.
        facts: what is true.
        known_titles: other titles of the catalogue with two words or more, folded by `folded_title`.
    """
    description = straightened(" ".join(facts.sentences))
    run: list[Token] = []
    for index, token in enumerate([*reading.tokens, None]):
        if token is not None and token.kind == "word" and _is_name(token):
            run.append(token)
            continue
        if run:
            yield from _check_run(run, description, facts)
        run = []
        if token is not None and token.kind == "mention":
            yield from _check_around(index, reading, facts)
    for match in _QUOTED.finditer(reading.text):
        quoted = (match[1] or match[2] or "").strip(" .,!?")
        if quoted and quoted not in description and not _is_mention(quoted, reading):
            yield Finding("quote", quoted[:100], "is quoted, and no fact says it in these words")
    yield from _check_known(reading, known_titles)


def folded_title(title: str) -> str:
    """Return a title as its words in lower case."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)?", straightened(title).lower()))


def _is_name(token: Token) -> bool:
    """Return whether a word is written as a name; at the start of a sentence that cannot be told, and words decide."""
    return any(map(str.isupper, token.text[1:])) or (token.text[:1].isupper() and not token.first)


def _check_run(run: list[Token], description: str, facts: Facts) -> Iterator[Finding]:
    said = " ".join(token.text for token in run)
    bare = re.sub(r"'s$", "", said)
    if re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", description):
        return
    tags = {word for tag in facts.genres for word in (tag, tag.capitalize(), tag.upper())}
    if all(token.text in tags or token.text in facts.kind for token in run):
        return
    yield Finding("name", said[:100], "is a name that no fact holds")


def _check_around(index: int, reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield what would make another title of a mention: an article in front, a number, numeral or subtitle behind."""
    token = reading.tokens[index]
    before = reading.tokens[index - 1] if index else None
    after = reading.tokens[index + 1] if index + 1 < len(reading.tokens) else None
    if before is not None and before.lower in ("the", "a", "an", "la", "le") and before.kind == "word":
        following = after.lower if after is not None else ""
        article_of_noun = following in ("film", "movie", "game", "title", "series", "show", "book", "documentary")
        if token.reference == MAIN and not article_of_noun:
            yield Finding("name", f"{before.text} {token.text}"[:100], "is another title than the item's")
    if after is not None and after.kind == "number" and after.text != facts.rating:
        yield Finding("name", f"{token.text} {after.text}"[:100], "puts a number behind the title")
    colon = after is not None and after.text == ":" and index + 2 < len(reading.tokens)
    if colon and reading.tokens[index + 2].text[:1].isupper() and reading.tokens[index + 2].kind == "word":
        two = reading.tokens[index + 2]
        yield Finding("name", f"{token.text}: {two.text}"[:100], "puts a subtitle behind the title")


def _is_mention(quoted: str, reading: Reading) -> bool:
    return any(token.kind == "mention" and token.text == quoted for token in reading.tokens)


def _check_known(reading: Reading, known_titles: Set[str]) -> Iterator[Finding]:
    """Yield titles of the catalogue that stand in the text in any case and are not the item's."""
    if not known_titles:
        return
    words = [token.lower if token.kind in ("word", "number") else None for token in reading.tokens]
    for start, first in enumerate(words):
        if first is None:
            continue
        said = first
        for word in words[start + 1 : start + _LONGEST_TITLE]:
            if word is None:
                break
            said = f"{said} {word}"
            if said in known_titles:
                yield Finding("name", said, "is another title of the catalogue")
