"""The version folder of `toxicity-svm`: `python -m services.classical.training.toxicity` writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.classical.pipelines.toxicity import VOCABULARY_FILE
from services.classical.training.toxicity.graph import build_graph
from services.runtime.training.comment_svm import PACKAGE, WORD, SvmParts, load_svm, word_values
from services.runtime.training.publish import publish_version

NAME = "toxicity-svm"
GOLDEN_TEXTS = (
    "A gorgeous, witty, seductive movie.",
    "shut up you stupid moron",
    "We killed the dragon together, what an evening!",
    "",
)
CARD = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")


def publish(output: Path) -> Path:
    """Write the version folder and return the path of its manifest.

    Raises:
        SourceUnavailable: the package cannot be fetched.
    """
    svm = load_svm()
    kept = sorted((row, word) for word, row in svm.words.items() if word not in svm.stop_words)
    words = [[word, round(float(svm.idf[row]), 6)] for row, word in kept]
    rows = [row for row, _ in kept]
    served = SvmParts(
        {word: k for k, (_, word) in enumerate(kept)},
        svm.idf[rows],
        frozenset(),
        svm.weights[:, rows],
        svm.intercepts,
        svm.slopes,
        svm.offsets,
    )
    manifest = {
        "name": NAME,
        "version": "1",
        "task": "text-toxicity",
        "description": "Linear support vector machine over words: probability that a person calls a text offensive.",
        "license": "MIT",
        "source": f"PyPI {PACKAGE[0]} {PACKAGE[1]}",
        "required": True,
        "inputs": [
            {"name": "rows", "datatype": "INT64", "shape": [-1, -1]},
            {"name": "values", "datatype": "FP32", "shape": [-1, -1]},
        ],
        "outputs": [
            {"name": "probability", "datatype": "FP32", "shape": [-1]},
            {"name": "contributions", "datatype": "FP32", "shape": [-1, -1]},
        ],
        "batching": {"max_batch": 256, "cost_unit": "rows", "exact_length": False},
        "placement": {"prepare": "inline", "run": "inline", "finish": "inline"},
        "limits": {},
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": 0.0001, "decision_flips": 1},
                "CUDAExecutionProvider": {"max_difference": 0.001, "decision_flips": 2},
            }
        },
        "warmup_runs": 2,
    }
    files = {VOCABULARY_FILE: json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()}
    return publish_version(
        output / NAME / "1", manifest, build_graph(served), files, golden_cases(served, GOLDEN_TEXTS), CARD
    )


def golden_cases(
    svm: SvmParts, texts: Sequence[str]
) -> list[dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
    """Return all texts as one run."""
    found = [word_values(svm.words, svm.idf, svm.stop_words, WORD.findall(text.lower())) for text in texts]
    width = max(map(len, found))
    rows, values = np.zeros((len(texts), width), np.int64), np.zeros((len(texts), width), np.float32)
    for index, each in enumerate(found):
        rows[index, : len(each)] = np.array(list(each), np.int64) + 1
        values[index, : len(each)] = list(each.values())
    return [{"rows": rows, "values": values}]
