"""The version folder of `word-embedding`."""

from __future__ import annotations

from services.text.training.corpus import held_out_texts, load_corpus
from services.text.training.parity import measure_parity
from services.text.training.version import (
    GOLDEN_TEXTS,
    Version,
    golden_cases,
    parity_line,
    render_card,
    tolerance,
    vector_tensors,
)
from services.text.training.word_embedding import (
    MAX_TOKENS,
    build_graph,
    load_original,
    token_weights,
    weighted_vectors,
)

NAME = "word-embedding"
# Equal weights: measured against rarer-is-heavier weights by services.text.training.evaluation, see the card.
SMOOTHING = None


def build_word_embedding() -> Version:
    """Builds and measures the graph.

    Raises:
        SourceUnavailable: Vectors or texts cannot be fetched.
    """
    original, corpus = load_original(), load_corpus()
    weights = token_weights([], len(original.vectors), SMOOTHING)
    graph = build_graph(original.vectors, weights).SerializeToString(deterministic=True)
    texts = original.encode(held_out_texts(corpus))
    parity = measure_parity(graph, texts, weighted_vectors(original.vectors, weights, texts))
    manifest = {
        "name": NAME,
        "version": "1",
        "task": "word-vectors",
        "description": "Text vectors as the weighted mean of static token vectors: microseconds a text.",
        "license": "MIT",
        "source": "PyPI wordllama 0.4.0.post1",
        "required": True,
        **vector_tensors(original.vectors.shape[1]),
        "batching": {"max_batch": 16, "cost_unit": "tokens", "exact_length": False},
        "placement": {"prepare": "inline", "run": "inline", "finish": "inline"},
        "limits": {"max_tokens": MAX_TOKENS},
        "golden": tolerance(0.0001),
        "warmup_runs": 2,
    }
    return Version(
        manifest=manifest,
        graph=graph,
        files={"tokenizer.json": original.tokenizer_json},
        golden_cases=golden_cases(original.encode(GOLDEN_TEXTS)),
        card=render_card(NAME, parity, graph),
        passed=parity.passed,
        summary=parity_line(parity, graph),
    )
