"""Imported decoders, loaded as the service loads them, against the transformers library. Needs torch: `make
test-training` runs this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import pytest
import torch
import transformers
import yaml

from services.runtime.repository.loader import LoadedModel
from services.text.pipelines.generation.description import read_description
from tests.support.repositories import load_on_cpu
from tests.unit.services.text.training.imports.tiny import DECODERS, import_tiny, write_tiny

# An export takes seconds, and more than a minute where the machine has other work.
pytestmark = pytest.mark.timeout(900)
Array = numpy.typing.NDArray[Any]
TOKENS = [5, 17, 240, 33, 2, 99, 150, 7, 61, 20]


@dataclass(frozen=True)
class Pair:
    """An original and what became of it."""

    network: torch.nn.Module
    model: LoadedModel

    def original(self, tokens: list[int]) -> Array:
        answer: Array = self.network(input_ids=torch.tensor([tokens])).logits[0].numpy()
        return answer

    def run(
        self, tokens: list[int], past: dict[str, Array], mask: list[int], first: int
    ) -> tuple[Array, dict[str, Array]]:
        feeds = {
            "input_ids": numpy.array([tokens]),
            "attention_mask": numpy.array([mask]),
            "position_ids": numpy.arange(first, first + len(tokens))[None],
            **past,
        }
        outputs = self.model.onnx.run(feeds)
        states = read_description(self.model.folder, self.model.manifest).states
        return outputs["logits"][0], {state.input: outputs[state.output] for state in states}

    def empty(self) -> dict[str, Array]:
        states = read_description(self.model.folder, self.model.manifest).states
        return {state.input: numpy.zeros(state.sized(1, 0), numpy.float32) for state in states}


@pytest.fixture(scope="module", params=list(DECODERS))
def pair(request: pytest.FixtureRequest, imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("checkpoints") / request.param
    template = "<s> $A" if request.param == "llama" else ""
    network = write_tiny(folder, transformers.AutoModelForCausalLM, DECODERS[request.param], template)
    return Pair(network, load_on_cpu(import_tiny(folder, imported, request.param)))


def test_whole_texts_get_the_original_logits(pair: Pair) -> None:
    logits, _ = pair.run(TOKENS, pair.empty(), [1] * len(TOKENS), 0)
    assert logits == pytest.approx(pair.original(TOKENS), abs=1e-4)
    assert numpy.abs(logits).max() > 0.1


def test_token_by_token_with_what_was_kept_is_the_whole_text(pair: Pair) -> None:
    past, found = pair.empty(), []
    for place, token in enumerate(TOKENS):
        logits, past = pair.run([token], past, [1] * (place + 1), place)
        found.append(logits[0])
    assert numpy.stack(found) == pytest.approx(pair.original(TOKENS), abs=1e-4)


def test_a_prompt_may_be_read_in_parts(pair: Pair) -> None:
    first, past = pair.run(TOKENS[:3], pair.empty(), [1] * 3, 0)
    second, _ = pair.run(TOKENS[3:], past, [1] * len(TOKENS), 3)
    assert numpy.concatenate([first, second]) == pytest.approx(pair.original(TOKENS), abs=1e-4)


@pytest.mark.parametrize("before", [True, False])
def test_what_the_mask_hides_changes_nothing_wherever_it_lies(pair: Pair, before: bool) -> None:
    _, past = pair.run(TOKENS[:-1], pair.empty(), [1] * (len(TOKENS) - 1), 0)
    rubbish = {
        name: numpy.full((1, state.shape[1], 3, state.shape[3]), 7, numpy.float32) for name, state in past.items()
    }
    order = [rubbish, past] if before else [past, rubbish]
    filled = {name: numpy.concatenate([part[name] for part in order], axis=2) for name in past}
    mask = [0] * 3 + [1] * (len(TOKENS) - 1) if before else [1] * (len(TOKENS) - 1) + [0] * 3
    logits, _ = pair.run(TOKENS[-1:], filled, [*mask, 1], len(TOKENS) - 1)
    assert logits[0] == pytest.approx(pair.original(TOKENS)[-1], abs=1e-4)


def test_the_version_says_how_it_is_fed_and_how_near_it_is(pair: Pair) -> None:
    folder = pair.model.folder
    manifest = pair.model.manifest
    assert (manifest.task, manifest.required) == ("text-generation", False)
    description = json.loads((folder / "generation.json").read_text())
    assert description["context_tokens"] == 256
    assert description["end_tokens"] == [1]
    assert description["begin_token"] == (0 if manifest.name == "llama" else None)
    assert json.loads((folder / "tokenizer.json").read_text())["post_processor"] is None
    card = (folder / "card.md").read_text()
    assert "least cosine token by token against whole texts" in card
    assert str(Path.home()) not in card


def test_fewer_bits_in_a_file_beside_the_graph(imported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "qwen"
    network = write_tiny(folder, transformers.AutoModelForCausalLM, DECODERS["qwen2"])
    version = import_tiny(folder, imported, "qwen-bytes", precision="int8", embedded_bytes=0)
    files = yaml.safe_load((version / "model.yaml").read_text())["files"]
    assert list(files) == ["model.onnx", "tokenizer.json", "generation.json", "model.onnx.data", "golden.npz"]
    pair = Pair(network, load_on_cpu(version))
    logits, _ = pair.run(TOKENS, pair.empty(), [1] * len(TOKENS), 0)
    original = pair.original(TOKENS)
    near = (logits * original).sum() / numpy.linalg.norm(logits) / numpy.linalg.norm(original)
    assert 0.995 < near < 0.999999


def test_half_precision_is_nearer_than_bytes(imported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gpt"
    network = write_tiny(folder, transformers.AutoModelForCausalLM, DECODERS["gpt2"])
    version = import_tiny(folder, imported, "gpt-half", precision="float16")
    pair = Pair(network, load_on_cpu(version))
    logits, _ = pair.run(TOKENS, pair.empty(), [1] * len(TOKENS), 0)
    assert logits == pytest.approx(pair.original(TOKENS), abs=0.05)
    assert (version / "model.onnx").stat().st_size < 0.75 * (imported / "gpt2" / "1" / "model.onnx").stat().st_size
