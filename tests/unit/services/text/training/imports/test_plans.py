"""What is read of a checkpoint before anything is converted; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.runtime.training.imports.checkpoint import read_checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.text.training.imports.decoder_plan import DecoderPlan, plan_decoder
from services.text.training.imports.encoder_plan import EncoderPlan, plan_classifier, plan_vectors
from services.text.training.imports.importers import importers
from services.text.training.imports.real_texts import real_texts
from tests.support.checkpoints import BEGIN, BERT, END, LLAMA, write_checkpoint, write_json

MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
CLASSIFIER = {
    **BERT,
    "architectures": ["BertForSequenceClassification"],
    "id2label": {"0": "calm", "1": "tense", "2": "funny"},
}


def decoder(tmp_path: Path, template: str = "", **changes: Any) -> DecoderPlan:
    return plan_decoder(read_checkpoint(write_checkpoint(tmp_path / "model", {**LLAMA, **changes}, template), "it"))


def vectors(tmp_path: Path, files: Mapping[str, Any] | None = None, **changes: Any) -> EncoderPlan:
    folder = write_checkpoint(tmp_path / "model", {**BERT, **changes}, "<s> $A </s>")
    for name, content in (files or {}).items():
        write_json(folder / name, content)
    return plan_vectors(read_checkpoint(folder, "it"))


def classifier(tmp_path: Path, **changes: Any) -> EncoderPlan:
    return plan_classifier(read_checkpoint(write_checkpoint(tmp_path / "model", {**CLASSIFIER, **changes}), "it"))


def test_a_decoder_is_fed_as_its_configuration_says(tmp_path: Path) -> None:
    plan = decoder(tmp_path, "<s> $A")
    assert (plan.layers, plan.heads, plan.head_width, plan.context_tokens) == (2, 2, 8, 128)
    assert (plan.begin_token, list(plan.end_tokens)) == (BEGIN, [END])


def test_a_tokeniser_that_adds_nothing_begins_with_nothing(tmp_path: Path) -> None:
    assert decoder(tmp_path).begin_token is None


def test_the_names_of_gpt2_are_understood(tmp_path: Path) -> None:
    config = {"architectures": ["GPT2LMHeadModel"], "vocab_size": 300, "n_embd": 32, "n_layer": 3, "n_head": 4}
    folder = write_checkpoint(tmp_path / "model", {**config, "n_positions": 64, "eos_token_id": [1, 299, 9_999]})
    plan = plan_decoder(read_checkpoint(folder, "it"))
    assert (plan.layers, plan.heads, plan.head_width, plan.context_tokens) == (3, 4, 8, 64)
    assert list(plan.end_tokens) == [1, 299]


def test_generation_settings_say_what_ends_a_text(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    write_json(folder / "generation_config.json", {"eos_token_id": [7, 8]})
    assert list(plan_decoder(read_checkpoint(folder, "it")).end_tokens) == [7, 8]


def test_a_sliding_window_bounds_the_context(tmp_path: Path) -> None:
    assert decoder(tmp_path, sliding_window=40, use_sliding_window=True).context_tokens == 40


def test_a_window_that_is_switched_off_does_not(tmp_path: Path) -> None:
    assert decoder(tmp_path, sliding_window=40, use_sliding_window=False).context_tokens == 128


@pytest.mark.parametrize("kind", ["dynamic", "longrope", "something-new"])
def test_positions_that_change_with_the_length_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ImportRefused, match=f"rotary positions of type '{kind}'"):
        decoder(tmp_path, rope_scaling={"rope_type": kind, "factor": 2.0})


def test_a_tokeniser_that_also_ends_a_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="puts 2 tokens around a text"):
        decoder(tmp_path, "<s> $A </s>")


def test_a_missing_tokeniser_is_refused_with_the_way_to_write_it(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ImportRefused, match=r"it holds no tokenizer.json") as refused:
        plan_decoder(read_checkpoint(folder, "it"))
    assert "AutoTokenizer" in refused.value.advice


def test_a_tokeniser_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="the network's table has 100 rows"):
        decoder(tmp_path, vocab_size=100)


def test_an_encoder_without_more_is_pooled_by_the_mean(tmp_path: Path) -> None:
    plan = vectors(tmp_path)
    assert (plan.pooling, plan.pooling_stated, plan.max_tokens) == ("mean", False, 64)


@pytest.mark.parametrize(
    "settings",
    [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}],
)
def test_sentence_transformers_say_how_and_how_long(tmp_path: Path, settings: Mapping[str, Any]) -> None:
    files = {"modules.json": MODULES, "sentence_bert_config.json": {"max_seq_length": 32}}
    plan = vectors(tmp_path, {**files, "1_Pooling/config.json": settings})
    assert (plan.pooling, plan.pooling_stated, plan.max_tokens) == ("cls", True, 32)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"modules.json": [*MODULES, {"type": "sentence_transformers.models.Dense"}]}, "Dense; what is served is"),
        ({"modules.json": MODULES}, "1_Pooling/config.json"),
        ({"modules.json": MODULES, "1_Pooling/config.json": {"pooling_mode_max_tokens": True}}, "pooling is max"),
        (
            {"modules.json": MODULES, "config_sentence_transformers.json": {"default_prompt_name": "query"}},
            "puts a prompt of its own before every text",
        ),
        ({"modules.json": [{**MODULES[0], "path": "0_Transformer"}, MODULES[1]]}, "lies in the folder 0_Transformer"),
    ],
)
def test_what_the_service_would_do_otherwise_is_refused(tmp_path: Path, files: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(ImportRefused, match=reason):
        vectors(tmp_path, files)


def test_roberta_counts_positions_from_behind_its_padding(tmp_path: Path) -> None:
    plan = vectors(tmp_path, architectures=["RobertaModel"], pad_token_id=1)
    assert (plan.max_tokens, plan.padding_token) == (62, 1)


def test_the_labels_of_a_classifier_are_in_the_order_of_its_outputs(tmp_path: Path) -> None:
    plan = classifier(tmp_path)
    assert list(plan.labels) == ["calm", "tense", "funny"]
    assert not plan.several


def test_several_labels_may_hold_at_once(tmp_path: Path) -> None:
    assert classifier(tmp_path, problem_type="multi_label_classification").several


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"problem_type": "regression"}, "has one output, a number"),
        ({"id2label": {"0": "score"}}, "has one output"),
        ({"id2label": {"0": "a", "1": "a"}}, "a different name in one line"),
        ({"id2label": {"0": "a", "1": "b\nc"}}, "a different name in one line"),
        ({"id2label": {"0": "a", "2": "b"}}, "a different name in one line"),
        ({"id2label": {str(index): str(index) for index in range(1_001)}}, "has 1001 labels"),
    ],
)
def test_labels_that_cannot_be_served_are_refused(tmp_path: Path, changes: Any, reason: str) -> None:
    with pytest.raises(ImportRefused, match=reason):
        classifier(tmp_path, **changes)


def test_each_architecture_is_listed_once_and_checks_without_torch(tmp_path: Path) -> None:
    listed = importers()
    assert len({one.architecture for one in listed}) == len(listed)
    assert {one.service for one in listed} == {"text"}
    (llama,) = [one for one in listed if one.architecture == "LlamaForCausalLM"]
    llama.check(read_checkpoint(write_checkpoint(tmp_path / "model"), "it"), "generation")


def test_the_texts_of_the_comparison_are_many_and_different() -> None:
    texts = real_texts()
    assert len(texts) == len(set(texts)) >= 60
    assert max(map(len, texts)) > 500
