"""Measures the language models as they are served beside the n-gram baseline, on texts that no fit has seen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tokenizers import Tokenizer

import services.text
from services.text.training.language_model.measuring import (
    Figures,
    encode_all,
    facts_texts,
    faithful_share,
    fit_ngram,
    network_figures,
    ngram_figures,
)
from services.text.training.language_model.served import ServedModel
from services.text.training.language_model.texts import FACTS, load_texts

MODELS = Path(services.text.__file__).parent / "models"
DECODER, RECURRENT, NGRAM = "decoder-language-model", "recurrent-language-model", "5-gram"
# Each must be better than the one after it.
ORDER = (DECODER, RECURRENT, NGRAM)


def open_model(name: str) -> tuple[ServedModel, Tokenizer]:
    """Return a committed model and its tokeniser."""
    folder = MODELS / name / "1"
    model = ServedModel((folder / "model.onnx").read_bytes(), (folder / "generation.json").read_bytes())
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


def measure_language_models(say: Callable[[str], None], *, most: int | None = None) -> dict[str, float]:
    """Return figures by name; "better by" of two models is what the first saves, in bits a character.

    Args:
        say: told how far it is.
        most: held-out texts at most, evenly from all sources; None takes all.

    Raises:
        SourceUnavailable: a package cannot be fetched, or GoEmotions is not where its setting says.
    """
    say("texts of the language models")
    texts = load_texts(("train", "test"))
    train = [text for text in texts if text.split == "train"]
    held_out = [text for text in texts if text.split == "test"]
    if most is not None:
        held_out = held_out[:: max(1, len(held_out) // most)]
    found: dict[str, Figures] = {}
    figures: dict[str, float] = {}
    for name in (DECODER, RECURRENT):
        say(name)
        model, tokenizer = open_model(name)
        found[name] = network_figures(model, encode_all(held_out, tokenizer), tokenizer)
        figures[f"{name} facts kept"] = faithful_share(model, facts_texts(held_out, 100), tokenizer)
    say(NGRAM)
    baseline = fit_ngram(encode_all(train, tokenizer), tokenizer.get_vocab_size())
    found[NGRAM] = ngram_figures(baseline, encode_all(held_out, tokenizer), tokenizer)
    for name in ORDER:
        each = found[name]
        figures[f"{name} bits a character"] = each.prose
        figures[f"{name} perplexity"] = each.perplexity
        figures |= {f"{name} {source}": value for source, value in each.by_source.items()}
        figures[f"{name} distinct-2"] = each.distinct_2
        figures[f"{name} repetition"] = each.repetition
    prose = fit_ngram(encode_all([text for text in train if text.source != FACTS], tokenizer), baseline.tokens)
    alone = ngram_figures(prose, encode_all(held_out, tokenizer), tokenizer)
    figures[f"{NGRAM} without facts bits a character"] = alone.prose
    for better, worse in pairwise(ORDER):
        figures[f"{better} better by"] = found[worse].prose - found[better].prose
    return figures
