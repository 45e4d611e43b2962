"""Texts to the probability that they offend, by a linear support vector machine over words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import numpy.typing

from marquee.classical.v1 import classical_service_pb2 as pb
from services.runtime.pipeline import Pipeline, Place, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.runtime.validation import Violations

VOCABULARY_FILE = "vocabulary.json"
MAXIMUM_TEXTS = 256
MAXIMUM_CHARACTERS = 10_000
MAXIMUM_WORDS = 10
# Finding words takes about 0.2 µs a character: beyond this many the event loop would stand still for milliseconds.
_INLINE_CHARACTERS = 20_000
_WORD = re.compile(r"\b\w\w+\b")

Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True)
class Vocabulary:
    """Row and inverse document frequency of each word; row 0 is no word. Stop words are not in it."""

    words: dict[str, tuple[int, float]]

    @classmethod
    def read(cls, folder: Path) -> Vocabulary:
        """Read the file of a version folder."""
        content = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        return cls({word: (row + 1, idf) for row, (word, idf) in enumerate(content)})


@dataclass(frozen=True)
class WordBatch:
    """Texts of one run: rows of their words int64[B, W] and tf-idf float32[B, W], 0 where there is none."""

    rows: numpy.typing.NDArray[numpy.int64]
    values: Floats


@dataclass(frozen=True)
class Scored:
    """Probability float32[B] and what each word adds to the margin float32[B, W]."""

    probability: Floats
    contributions: Floats


@dataclass(frozen=True)
class _Places:
    """For each text, where the word of each row stands first."""

    texts: Sequence[dict[int, tuple[int, int]]]


class ToxicityPipeline(Pipeline[Sequence[str], WordBatch, Scored, list[pb.TextToxicity]]):
    """One SVM with its vocabulary."""

    def __init__(self, model: LoadedModel) -> None:
        self.placement = model.manifest.placement.placement()
        self.max_batch = model.manifest.batching.max_batch
        self.cost_unit = model.manifest.batching.cost_unit
        self._model = model
        self._vocabulary = Vocabulary.read(model.folder)

    def place_of_prepare(self, request: Sequence[str]) -> Place:
        """Read short texts at once and long ones on a thread."""
        return self.placement.prepare if sum(map(len, request)) <= _INLINE_CHARACTERS else Place.THREAD

    def prepare(self, request: Sequence[str]) -> Prepared[WordBatch]:
        """Find the known words of each text."""
        places: list[dict[int, tuple[int, int]]] = []
        found: list[dict[int, float]] = []
        for text in request:
            values: dict[int, float] = {}
            where: dict[int, tuple[int, int]] = {}
            for match in _WORD.finditer(text):
                known = self._vocabulary.words.get(match.group().lower())
                if known:
                    values[known[0]] = values.get(known[0], 0.0) + known[1]
                    where.setdefault(known[0], match.span())
            found.append(values)
            places.append(where)
        width = max(1, *map(len, found))
        rows = numpy.zeros((len(request), width), numpy.int64)
        tfidf = numpy.zeros((len(request), width), numpy.float32)
        for index, values in enumerate(found):
            rows[index, : len(values)] = list(values)
            weights = numpy.array(list(values.values()), numpy.float64)
            tfidf[index, : len(values)] = weights / max(float(numpy.linalg.norm(weights)), 1e-12)
        size = Size(len(request), len(request) * width, width)
        return Prepared([WordBatch(rows, tfidf)], len(request), _Places(places), [size])

    def run(self, batch: WordBatch) -> Scored:
        """Run the model once."""
        outputs = self._model.onnx.run({"rows": batch.rows, "values": batch.values})
        return Scored(outputs["probability"], outputs["contributions"])

    def join(self, batches: Sequence[WordBatch]) -> WordBatch:
        """Put texts of several requests, of equal width, into one run."""
        return WordBatch(
            numpy.concatenate([batch.rows for batch in batches]), numpy.concatenate([batch.values for batch in batches])
        )

    def split(self, output: Scored, batches: Sequence[WordBatch]) -> Sequence[Scored]:
        """Return each request's texts."""
        ends = numpy.cumsum([len(batch.rows) for batch in batches])[:-1]
        parts = zip(numpy.split(output.probability, ends), numpy.split(output.contributions, ends), strict=True)
        return [Scored(probability, contributions) for probability, contributions in parts]

    def finish(self, prepared: Prepared[WordBatch], outputs: Sequence[Scored]) -> list[pb.TextToxicity]:
        """Name the words that spoke for it, strongest first."""
        assert isinstance(prepared.state, _Places)
        scored, rows = outputs[0], prepared.batches[0].rows
        results = []
        for index, places in enumerate(prepared.state.texts):
            added = scored.contributions[index]
            order = [k for k in numpy.argsort(-added, kind="stable")[:MAXIMUM_WORDS] if added[k] > 0]
            words = [(*places[int(rows[index, k])], float(added[k])) for k in order]
            results.append(
                pb.TextToxicity(
                    probability=float(scored.probability[index]),
                    words=[pb.ToxicWord(start=start, end=end, contribution=value) for start, end, value in words],
                )
            )
        return results


def check_texts(check: Violations, texts: Sequence[str]) -> None:
    """Check the number of texts and each text."""
    if check.count("texts", texts, minimum=1, maximum=MAXIMUM_TEXTS):
        for index, text in enumerate(texts):
            check.text(f"texts[{index}]", text, maximum=MAXIMUM_CHARACTERS)
