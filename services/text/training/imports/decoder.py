"""Decoders: language models that go on from a prompt, with the keys and values of what they read handed on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from services.runtime.training.imports.card import render_card
from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.exporting import load_network
from services.runtime.training.imports.figures import Figure, require, summary
from services.runtime.training.imports.importer import ImportedVersion, Precision, Wish
from services.runtime.training.imports.precision import in_precision
from services.runtime.training.imports.session import opened
from services.runtime.training.imports.steps import Steps
from services.text.training.imports.decoder_network import export_decoder, state_names
from services.text.training.imports.decoder_parity import DecoderGraph, compare
from services.text.training.imports.decoder_plan import DecoderPlan, plan_decoder
from services.text.training.imports.real_texts import as_tokens, compared_texts
from services.text.training.parity import TokenIds

_COMPARED_TOKENS = 128
_GOLDEN_TOKENS = 8
_TOKENS = ("input_ids", "attention_mask", "position_ids")
# Of the largest value of all outputs: how far another machine's rounding may lead.
_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "float16": 1e-3, "int8": 0.02}
_CUDA_TOLERANCE = 0.02


def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
    """Import a decoder; see `Importer.convert`.

    Raises:
        ImportRefused: the checkpoint does not fit, or the graph is too far from it.
    """
    plan = plan_decoder(checkpoint)
    with steps("Loading the weights", None):
        network = load_network(transformers.AutoModelForCausalLM, checkpoint)
    with steps("Exporting the graph", None):
        exported = in_precision(export_decoder(network, plan), wish.precision)
    with steps("Writing the weights", exported.size_bytes) as step:
        graph, weights = exported.write(folder, wish.embedded_bytes, step.advance)
    begin = [] if plan.begin_token is None else [plan.begin_token]
    longest = min(_COMPARED_TOKENS, plan.context_tokens)
    texts = as_tokens(plan.tokenizer.tokenizer, longest, begin, special=False)
    with opened(graph, weights, folder) as session:
        decoder = DecoderGraph(session, plan)
        figures = compare(network, decoder, texts, wish.precision, steps)
        cases, largest = _golden_cases(decoder, texts)
    require(figures, wish.precision)
    states = [
        {"input": before, "output": after, "shape": [-1, plan.heads, -1, plan.head_width], "growing_axis": 2}
        for before, after in state_names(plan.layers)
    ]
    description = {
        "kind": "transformer",
        "context_tokens": plan.context_tokens,
        "begin_token": plan.begin_token,
        "end_tokens": list(plan.end_tokens),
        "states": states,
    }
    files: dict[str, bytes | Path] = {
        "tokenizer.json": plan.tokenizer.served(special_tokens=False),
        "generation.json": json.dumps(description, indent=1).encode(),
        **weights,
    }
    return ImportedVersion(
        manifest=_manifest(checkpoint, wish, plan, states, largest),
        graph=graph,
        files=files,
        golden_cases=cases,
        card=_card(checkpoint, wish, plan, figures, graph, weights),
        summary=summary(figures),
    )


def _golden_cases(decoder: DecoderGraph, texts: TokenIds) -> tuple[list[dict[str, Any]], float]:
    """Return the beginnings of two texts, then one more token of both behind pasts of different length; and the largest
    value of the outputs.
    """
    first, second = (list(ids[:_GOLDEN_TOKENS]) for ids in sorted(texts, key=len)[-2:])
    second = second[: max(2, len(second) // 2)]
    whole, largest = [], 1.0
    for ids in (first[:-1], second[:-1]):
        _, states = decoder.read(ids)
        largest = max(largest, *(float(np.abs(state).max()) for state in states))
        whole.append(states)
    capacity = len(first) - 1
    past = decoder.empty(2, capacity)
    mask = np.zeros((2, capacity + 1), np.int64)
    mask[:, capacity] = 1
    for row, states in enumerate(whole):
        for place, state in zip(past, states, strict=True):
            place[row, :, : state.shape[2]] = state[0]
        mask[row, : states[0].shape[2]] = 1
    positions = np.array([[len(first) - 1], [len(second) - 1]])
    one = decoder.feeds(
        np.array([first]), np.ones((1, len(first)), np.int64), np.arange(len(first))[None], decoder.empty(1)
    )
    two = decoder.feeds(np.array([[first[-1]], [second[-1]]]), mask, positions, past)
    for logits, _ in (decoder.read(first), decoder.read(second)):
        largest = max(largest, float(np.abs(logits).max()))
    return [one, two], largest


def _manifest(
    checkpoint: Checkpoint, wish: Wish, plan: DecoderPlan, states: Sequence[dict[str, Any]], largest: float
) -> dict[str, Any]:
    tolerance = _TOLERANCE[wish.precision] * largest
    cuda = max(tolerance, _CUDA_TOLERANCE * largest)
    return {
        "name": wish.name,
        "version": wish.version,
        "task": "text-generation",
        "description": f"Language model by {checkpoint.architecture}, imported.",
        "license": checkpoint.license,
        "source": checkpoint.source,
        "required": False,
        "inputs": [
            *({"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in _TOKENS),
            *({"name": state["input"], "datatype": "FP32", "shape": state["shape"]} for state in states),
        ],
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [-1, -1, plan.vocabulary]},
            *({"name": state["output"], "datatype": "FP32", "shape": state["shape"]} for state in states),
        ],
        "batching": {"max_batch": 1, "cost_unit": "tokens"},
        "placement": {"prepare": "thread", "run": "engine", "finish": "inline"},
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": float(f"{tolerance:.3g}"), "decision_flips": 0},
                "CUDAExecutionProvider": {"max_difference": float(f"{cuda:.3g}"), "decision_flips": 0},
            }
        },
        "warmup_runs": 1,
    }


def _card(
    checkpoint: Checkpoint,
    wish: Wish,
    plan: DecoderPlan,
    figures: Sequence[Figure],
    graph: bytes,
    weights: dict[str, Path],
) -> str:
    token_bytes = 2 * plan.layers * plan.heads * plan.head_width * 4
    return render_card(
        checkpoint,
        wish,
        does="Goes on from a prompt, token by token.",
        facts={
            "Vocabulary": f"{plan.vocabulary:,} tokens",
            "Context": f"{plan.context_tokens:,} tokens of prompt and text together",
            "Memory of a text in the making": f"{token_bytes / 1e3:,.0f} kB a token",
            "Served by": "`GenerateText`",
        },
        compared=compared_texts(),
        figures=figures,
        graph=graph,
        files=weights,
        limits="The prompt is given to the model as it is: the format of a chat is the caller's to write. What it says "
        "may be wrong or harmful.",
    )
