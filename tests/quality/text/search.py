"""Search as served, by words, by meaning and by both: `python -m tests.quality.text.search`.

Films are those of MovieLens-100K: they have a title, genres and a year, and no description, so meaning has little to go
by there. Sentences are those of newspaper editorials and product reviews, where it has more. Every set of queries is
drawn with a fixed seed and split in two: `--half choose` is what the constants of `services/orchestrator/search` were
chosen on, `--half report` what is reported.

The known item is asked for by its title, spelled in several ways. A kind of film is asked for in words that the
catalogue does not use ("scary" for Horror); relevant is what has the genre. A sentence asks for the others of its
editorial or product.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marquee.text.v1 import text_service_pb2 as text_pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.cli.movielens import fetch_movielens
from services.orchestrator.catalog.content_models import text_of
from services.orchestrator.catalog.snapshot import CatalogSnapshot, Floats, VectorColumn, build_snapshot
from services.orchestrator.events.weights import event_weight, rating_weight
from services.orchestrator.recommend.steps import StepLog
from services.orchestrator.search.fusion import (
    LEXICAL_SHARE,
    SENTENCES,
    WORDS,
    Floor,
    Relevance,
    best_rows,
    fuse,
    personalise,
)
from services.orchestrator.search.index import LexicalIndex, build_index
from services.orchestrator.search.lexical import LexicalMatches, match
from services.orchestrator.search.searcher import as_meant
from services.orchestrator.search.semantic import cosines, readable
from services.orchestrator.search.taste import MOST_JUDGED, Person, taste_of
from services.orchestrator.search.word_vectors import MODEL as WORD_MODEL
from services.orchestrator.store.records import BundlePointer, ItemRecord, ItemVector, RecommendationState, UserEvent
from services.text.training.corpus import EDITORIALS, PRODUCTS, load_corpus
from tests.support.content_mesh import content_mesh

KINDS = {
    "scary": "Horror",
    "frightening monsters": "Horror",
    "funny": "Comedy",
    "makes me laugh": "Comedy",
    "cartoon": "Animation",
    "animated": "Animation",
    "cowboys": "Western",
    "gunfight in the old west": "Western",
    "spaceships and aliens": "Sci-Fi",
    "robots of the future": "Sci-Fi",
    "love story": "Romance",
    "falling in love": "Romance",
    "romantic": "Romance",
    "whodunit detective": "Mystery",
    "suspense": "Thriller",
    "edge of the seat": "Thriller",
    "soldiers in battle": "War",
    "military combat": "War",
    "singing and dancing": "Musical",
    "for kids": "Children's",
    "family film for children": "Children's",
    "true story without actors": "Documentary",
    "documentaries": "Documentary",
    "gangsters": "Crime",
    "police and criminals": "Crime",
    "sad serious": "Drama",
    "explosions and car chases": "Action",
    "magic and dragons": "Fantasy",
    "hardboiled private eye": "Film-Noir",
    "treasure hunt expedition": "Adventure",
}
FILMS = "films"
_MOST = 400
_PLACES = 10
_TOGETHER = 128
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RRF = 60

Method = Callable[[LexicalMatches, Floats | None, Floats | None, int], list[int]]


@dataclass(frozen=True)
class Query:
    """What is asked, and the rows that are wanted; `own` is left out of the answer."""

    text: str
    wanted: frozenset[int]
    own: int = -1


@dataclass(frozen=True)
class Corpus:
    """A catalogue and the queries over it, by set."""

    snapshot: CatalogSnapshot
    index: LexicalIndex
    words: VectorColumn
    queries: Mapping[str, Sequence[Query]]


def main() -> None:
    """Prints the figures of each set of queries for each way of searching."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.text.search", description=__doc__)
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--most", type=int, default=_MOST, help="queries of each set at most")
    parser.add_argument("--sweep", action="store_true", help="try weights of the words from 0 to 1")
    options = parser.parse_args()
    shares = [round(share / 10, 1) for share in range(1, 10)] if options.sweep else []
    print_table(asyncio.run(measure(half=options.half, most=options.most, shares=shares)))


async def measure(
    *, half: str = "report", most: int | None = None, shares: Sequence[float] = (), say: Callable[[str], None] = print
) -> dict[str, dict[str, float]]:
    """Return the figure of each way of searching, by set of queries.

    Args:
        half: "choose" or "report".
        most: queries of each set at most; None takes 400.
        shares: further weights of the words to try.
        say: told how far it is.
    """
    with tempfile.TemporaryDirectory(prefix="marquee-search-") as folder:
        async with content_mesh(Path(folder), with_classical=False) as mesh:
            stub: Any = TextServiceStub(mesh.text)  # type: ignore[arg-type]
            figures: dict[str, dict[str, float]] = {}
            for name, records, queries in _sets(half, most or _MOST):
                say(f"search: {name}, {len(records)} items")
                corpus = await _corpus(stub, records, queries)
                for kind, asked in corpus.queries.items():
                    figures[kind] = await _figures(stub, corpus, asked, kind, shares)
                if name == FILMS:
                    say("search: a genre for a user")
                    tastes = await _taste(stub, corpus, half, most or _MOST)
                    say("a genre for a user, MRR of the next film they like, by weight of taste: " + tastes)
    return figures


async def _taste(stub: Any, corpus: Corpus, half: str, most: int) -> str:
    """Return how a search for a genre finds the last film that a user rated 4 or 5, by weight of the user's taste,
    which is told from the texts of the 100 ratings before.
    """
    generator = random.Random(half)
    histories: dict[str, list[UserEvent]] = defaultdict(list)
    for event in fetch_movielens().events:
        histories[event.user_id].append(
            UserEvent(event.item_id, event_weight(event), int(event.kind), event.event_time.seconds, 0)
        )
    users = [user for user in sorted(histories) if (zlib.crc32(user.encode()) % 2 == 0) == (half == "choose")]
    generator.shuffle(users)
    snapshot, everything = corpus.snapshot, np.ones(len(corpus.snapshot), np.bool_)
    relevances: dict[str, Relevance] = {}
    ranks: dict[float, list[float]] = defaultdict(list)
    for user in users[:most]:
        events = histories[user]
        last = max((place for place, event in enumerate(events) if event.weight >= rating_weight(4)), default=0)
        row = snapshot.rows[events[last].item_id]
        if not last or not snapshot.tags[row]:
            continue
        genre = generator.choice(snapshot.tags[row])
        if genre not in relevances:
            vectors, _, _ = await _embed(stub, [genre])
            relevances[genre] = fuse(match(corpus.index, genre), cosines(snapshot.text, vectors[0]), everything)
        found = relevances[genre]
        state = RecommendationState(events[max(0, last - 100) : last], frozenset(), last, 1, BundlePointer())
        rows = best_rows(found.scores, found.found, snapshot, MOST_JUDGED)
        fits = await taste_of(None, Person("", state, None), snapshot, rows, StepLog(), 1.0)  # type: ignore[arg-type]
        seen = {snapshot.rows[event.item_id] for event in state.history}
        for weight in (0.0, 0.2, 0.5, 1.0):
            order = best_rows(personalise(found.scores, fits, weight), found.found, snapshot, 300)
            ranks[weight].append(_reciprocal_rank([one for one in order if one not in seen], {row}))
    return ", ".join(f"{weight:g}: {np.mean(values):.4f}" for weight, values in ranks.items())


def as_figures(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return what is served, by name."""
    return {f"search: {kind}": by_method["served"] for kind, by_method in figures.items()}


def print_table(figures: Mapping[str, Mapping[str, float]]) -> None:
    """Prints one line a set of queries, one column a way of searching."""
    methods = list(next(iter(figures.values())))
    print(f"| {'queries':44s} | " + " | ".join(f"{name:>9s}" for name in methods) + " |")
    print("|---|" + "---|" * len(methods))
    for kind, by_method in figures.items():
        print(f"| {kind:44s} | " + " | ".join(f"{by_method[name]:9.3f}" for name in methods) + " |")
    means = {name: np.mean([by_method[name] for by_method in figures.values()]) for name in methods}
    print(f"| {'mean':44s} | " + " | ".join(f"{means[name]:9.3f}" for name in methods) + " |")


def _sets(half: str, most: int) -> Iterator[tuple[str, list[ItemRecord], dict[str, list[Query]]]]:
    films = sorted(fetch_movielens().items, key=lambda item: item.item_id.encode())
    records = [
        ItemRecord(item.item_id, item.title, "", tuple(item.tags), item.maturity_age, item.release_year, (), 1)
        for item in films
    ]
    yield FILMS, records, _film_queries(records, half, most)
    corpus = load_corpus()
    for name in (EDITORIALS, PRODUCTS):
        snippets = [one for one in corpus[name] if (one.document % 2 == 0) == (half == "choose")]
        records = [ItemRecord(f"{row:06}", one.text, "", (), 0, 0, (), 1) for row, one in enumerate(snippets)]
        documents: dict[int, set[int]] = defaultdict(set)
        for row, one in enumerate(snippets):
            documents[one.document].add(row)
        queries = [
            Query(one.text[:1000], frozenset(documents[one.document] - {row}), row)
            for row, one in enumerate(snippets)
            if len(documents[one.document]) > 1
        ]
        random.Random(0).shuffle(queries)
        yield name, records, {f"{name}: others of the document, R-precision": queries[:most]}


def _film_queries(records: Sequence[ItemRecord], half: str, most: int) -> dict[str, list[Query]]:
    generator = random.Random(half)
    by_title: dict[str, set[int]] = defaultdict(set)
    for row, record in enumerate(records):
        by_title[record.title].add(row)
    chosen = [
        row for row, one in enumerate(records) if (zlib.crc32(one.item_id.encode()) % 2 == 0) == (half == "choose")
    ]
    generator.shuffle(chosen)
    spelled: dict[str, Callable[[ItemRecord], str]] = {
        "title as written, MRR": lambda record: record.title,
        "title in catalogue form with year, MRR": _catalogue_form,
        "one slip in the title, MRR": lambda record: _with_slips(record.title, 1, generator),
        "two slips in the title, MRR": lambda record: _with_slips(record.title, 2, generator),
        "title begun, MRR": lambda record: _begun(record.title, generator),
        "one word of the title left out, MRR": lambda record: _shorter(record.title, generator),
    }
    found: dict[str, list[Query]] = {}
    for name, spell in spelled.items():
        found[name] = [
            Query(text, frozenset(by_title[records[row].title]))
            for row in chosen[:most]
            if (text := spell(records[row])).strip()
        ]
        found[name.replace("MRR", "success@10")] = found[name]
    tagged: dict[str, set[int]] = defaultdict(set)
    for row, record in enumerate(records):
        for tag in record.tags:
            tagged[tag].add(row)
            tagged[f"{tag} {record.release_year}"].add(row)
    years = [(tag, year) for tag in sorted({*KINDS.values()}) for year in range(1990, 1999)]
    found["genre and year, precision@10"] = [
        Query(f"{tag} {year}", frozenset(tagged[f"{tag} {year}"]))
        for tag, year in years
        if len(tagged[f"{tag} {year}"]) >= _PLACES and (year % 2 == 0) == (half == "choose")
    ]
    found["kind of film in other words, precision@10"] = [
        Query(text, frozenset(tagged[tag]))
        for place, (text, tag) in enumerate(KINDS.items())
        if (place % 2 == 0) == (half == "choose")
    ]
    return found


def _catalogue_form(record: ItemRecord) -> str:
    """Return "Godfather, The (1972)" for "The Godfather"."""
    article, _, rest = record.title.partition(" ")
    title = f"{rest}, {article}" if article in ("The", "A", "An") and rest else record.title
    return f"{title} ({record.release_year})" if record.release_year else title


def _with_slips(title: str, count: int, generator: random.Random) -> str:
    """Return the title with slips in that many of its words of four letters or more."""
    words = title.split(" ")
    long = [place for place, word in enumerate(words) if len(re.sub(r"\W", "", word)) >= 4]
    for place in generator.sample(long, min(count, len(long))):
        words[place] = _slip(words[place], generator)
    return " ".join(words)


def _slip(word: str, generator: random.Random) -> str:
    place = generator.randrange(1, len(word) - 1)
    kind = generator.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + generator.choice(_LETTERS) + word[place:]
    if kind == 2:
        return word[:place] + generator.choice(_LETTERS) + word[place + 1 :]
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _begun(title: str, generator: random.Random) -> str:
    """Return the title up to somewhere in its last word, at least half of it."""
    return title[: max(4, generator.randint(len(title) // 2, max(len(title) // 2, len(title) - 1)))]


def _shorter(title: str, generator: random.Random) -> str:
    words = title.split(" ")
    if len(words) > 1:
        del words[generator.randrange(len(words))]
    return " ".join(words)


async def _corpus(stub: Any, records: Sequence[ItemRecord], queries: Mapping[str, Sequence[Query]]) -> Corpus:
    vectors, model, version = await _embed(stub, [text_of(one.title, one.description, one.tags) for one in records])
    whole = [
        ItemRecord(
            one.item_id, one.title, one.description, one.tags, one.maturity_age, one.release_year, (), 1,
            ItemVector(vector.astype("<f4").tobytes(), model, version),
        )
        for one, vector in zip(records, vectors, strict=True)
    ]  # fmt: skip
    snapshot = build_snapshot(1, whole, [])
    texts = [text_of(one.title, one.description, one.tags) for one in records]
    static, model, version = await _embed(stub, texts, WORD_MODEL)
    words = VectorColumn(static, np.ones(len(static), np.bool_), model, version)
    return Corpus(snapshot, build_index(snapshot), words, queries)


async def _embed(stub: Any, texts: Sequence[str], model: str = "") -> tuple[Floats, str, str]:
    parts, name, version = [], "", ""
    for start in range(0, len(texts), _TOGETHER):
        request = text_pb.EmbedTextRequest(texts=texts[start : start + _TOGETHER], model=model)
        reply = await stub.EmbedText(request, timeout=120)
        parts += [np.frombuffer(vector.values, "<f4") for vector in reply.vectors]
        name, version = reply.report.model, reply.report.version
    return np.array(parts), name, version


async def _figures(
    stub: Any, corpus: Corpus, queries: Sequence[Query], kind: str, shares: Sequence[float]
) -> dict[str, float]:
    snapshot = corpus.snapshot
    everything = np.ones(len(snapshot), np.bool_)
    matches = [match(corpus.index, query.text) for query in queries]
    meant = [readable(as_meant(query.text, one, everything)) for query, one in zip(queries, matches, strict=True)]
    vectors, _, _ = await _embed(stub, [text or "." for text in meant])
    static, _, _ = await _embed(stub, [text or "." for text in meant], WORD_MODEL)
    meanings = [
        (cosines(snapshot.text, vector), cosines(corpus.words, word)) if text else (None, None)
        for text, vector, word in zip(meant, vectors, static, strict=True)
    ]

    def ranked(
        lexical: LexicalMatches | None,
        meaning: Floats | None,
        most: int,
        share: float = LEXICAL_SHARE,
        floor: Floor = SENTENCES,
    ) -> list[int]:
        relevance = fuse(lexical, meaning, everything, share, floor)
        return best_rows(relevance.scores, relevance.found, snapshot, most)

    def reciprocal(lexical: LexicalMatches, meaning: Floats | None, most: int) -> list[int]:
        scores = np.zeros(len(snapshot), np.float32)
        found = np.zeros(len(snapshot), np.bool_)
        for part in (fuse(lexical, None, everything), fuse(None, meaning, everything) if meaning is not None else None):
            if part is not None:
                found |= part.found
                for place, row in enumerate(best_rows(part.scores, part.found, snapshot, 1_000)):
                    scores[row] += 1 / (_RRF + place + 1)
        return best_rows(scores * 100, found, snapshot, most)

    methods: dict[str, Method] = {
        "words": lambda lexical, meaning, static, most: ranked(lexical, None, most),
        "meaning": lambda lexical, meaning, static, most: [] if meaning is None else ranked(None, meaning, most),
        "RRF": lambda lexical, meaning, static, most: reciprocal(lexical, meaning, most),
        "fast": lambda lexical, meaning, static, most: ranked(lexical, static, most, floor=WORDS),
        "served": lambda lexical, meaning, static, most: ranked(lexical, meaning, most),
    }

    def weighed(share: float) -> Method:
        return lambda lexical, meaning, static, most: ranked(lexical, meaning, most, share)

    methods |= {f"{share:g}": weighed(share) for share in shares}
    figures = {}
    for name, method in methods.items():
        values = []
        for query, lexical, (meaning, static_meaning) in zip(queries, matches, meanings, strict=True):
            most = len(query.wanted) + 1 if "R-precision" in kind else 100
            answer = [row for row in method(lexical, meaning, static_meaning, most) if row != query.own]
            values.append(_value(kind, answer, query))
        figures[name] = float(np.mean(values))
    return figures


def _value(kind: str, answer: Sequence[int], query: Query) -> float:
    if kind.endswith("MRR"):
        return _reciprocal_rank(answer, query.wanted)
    if kind.endswith("success@10"):
        return float(any(row in query.wanted for row in answer[:_PLACES]))
    most = len(query.wanted) if kind.endswith("R-precision") else _PLACES
    return sum(row in query.wanted for row in answer[:most]) / most


def _reciprocal_rank(answer: Sequence[int], wanted: Collection[int]) -> float:
    return next((1 / place for place, row in enumerate(answer, 1) if row in wanted), 0.0)


if __name__ == "__main__":
    main()
