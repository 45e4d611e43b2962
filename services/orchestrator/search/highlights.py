"""Where an item has the words of a query."""

from __future__ import annotations

from collections.abc import Iterator

from marquee.entertainment.v1 import search_service_pb2 as pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.search.lexical import BEGINNING, EXACT, SLIP, LexicalMatches, Variant
from services.orchestrator.search.words import Word, words_of

_MOST = 50
_KINDS = {
    EXACT: pb.WORD_MATCH_KIND_EXACT,
    BEGINNING: pb.WORD_MATCH_KIND_PREFIX,
    SLIP: pb.WORD_MATCH_KIND_TYPO,
}
Answers = dict[str, tuple[str, Variant]]


def answers_to(matches: LexicalMatches) -> Answers:
    """Return for each known word what it may answer: the word of the query, and how; the best one."""
    best: Answers = {}
    for asked in matches.words:
        for variant in asked.variants:
            if variant.word not in best or best[variant.word][1].weight < variant.weight:
                best[variant.word] = asked.word.text, variant
    return best


def highlight(snapshot: CatalogSnapshot, row: int, answers: Answers) -> list[pb.WordMatch]:
    """Return the places in the title, the tags, the year and the description of an item."""
    title = snapshot.titles[row]
    found = [_match("title", title, word, *answer) for word, answer in _answered(title, answers)]
    for tag in snapshot.tags[row]:
        found += [_match("tag", tag, Word("", 0, len(tag)), *answer) for _, answer in _first(tag, answers)]
    year = str(snapshot.release_years[row])
    if year in answers:
        found.append(_match("year", year, Word(year, 0, len(year)), *answers[year]))
    description, said = snapshot.descriptions[row], set[str]()
    for word, answer in _answered(description, answers) if description else ():
        if word.text not in said and len(found) < _MOST:
            said.add(word.text)
            text = description[word.start : word.end]
            found.append(_match("description", text, Word(text, 0, 0), *answer, whole=True))
    return found[:_MOST]


def _answered(text: str, answers: Answers) -> Iterator[tuple[Word, tuple[str, Variant]]]:
    words = words_of(text)
    covered = -1
    for first, second in zip(words, [*words[1:], None], strict=True):
        apart = second is not None and first.text in answers and second.text in answers
        joined = answers.get(first.text + second.text) if second and not apart else None
        if joined is not None and second is not None and second.start == first.end + 1:
            yield Word(first.text + second.text, first.start, second.end), joined
            covered = second.end
        elif first.text in answers and first.start >= covered:
            yield first, answers[first.text]


def _first(tag: str, answers: Answers) -> Iterator[tuple[Word, tuple[str, Variant]]]:
    for found in _answered(tag, answers):
        yield found
        return


def _match(field: str, text: str, word: Word, asked: str, variant: Variant, *, whole: bool = False) -> pb.WordMatch:
    return pb.WordMatch(
        field=field,
        text=text if whole else text[word.start : word.end],
        start=word.start,
        end=word.end,
        query_word=asked,
        kind=_KINDS[variant.kind],
    )
