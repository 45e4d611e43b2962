"""The committed text vector models keep what their manifests and cards promise, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer

import services.text
from services.runtime.repository.loader import LoadedModel
from tests.support.repositories import load_on_cpu

pytestmark = pytest.mark.quality

MODELS = Path(services.text.__file__).parent / "models"
NAMES = ("word-embedding", "minilm-sentence-vectors")
TEXTS = (
    "Breathtaking!",
    "The kind of film that makes you want to call your brother afterwards.",
    "Turn-based tactics with a deck of cards; each run takes half an hour, and the last boss is unfair.",
    "won't start on my laptop, black screen after the logo, asked for a refund twice :(",
    "Sci-fi",
    "An ageing boxer takes one last fight to pay for his daughter's school, and finds that the young champion is the "
    "son of the man he once refused to fight. Slow, grey, beautifully shot, and saved from its own gloom by two "
    "wonderful actors who hardly say a word to each other in the two hours that they share the screen.",
    "Café scène in Zürich — très drôle, 10/10 🎬",
    "the the the the",
)
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    loaded: LoadedModel
    tokenizer: Tokenizer

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)[: self.loaded.manifest.limits["max_tokens"]]

    def vectors(self, *texts: list[int]) -> Vectors:
        width = max(len(ids) for ids in texts)
        input_ids = np.array([ids + [0] * (width - len(ids)) for ids in texts], np.int64)
        mask = np.array([[1] * len(ids) + [0] * (width - len(ids)) for ids in texts], np.int64)
        return self.run(input_ids, mask)

    def run(self, input_ids: NDArray[Any], mask: NDArray[Any]) -> Vectors:
        return self.loaded.onnx.run({"input_ids": input_ids, "attention_mask": mask})["vectors"].astype(np.float32)

    def likeness(self, left: str, right: str) -> float:
        return float(self.vectors(self.encode(left))[0] @ self.vectors(self.encode(right))[0])


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Model:
    folder = MODELS / request.param / "1"
    loaded = load_on_cpu(folder)
    return Model(loaded, Tokenizer.from_file(str(folder / "tokenizer.json")))


def test_golden_outputs_are_reproduced(model: Model) -> None:
    assert model.loaded.parity.cases == 6
    assert (
        model.loaded.parity.max_difference
        <= model.loaded.manifest.golden.tolerance["CPUExecutionProvider"].max_difference
    )


def test_vectors_have_the_declared_size_and_length_one(model: Model) -> None:
    vectors = model.vectors(*map(model.encode, TEXTS))
    assert vectors.shape == (len(TEXTS), model.loaded.manifest.outputs[0].shape[-1])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(model: Model) -> None:
    encoded = [model.encode(text) for text in TEXTS]
    alone = np.concatenate([model.vectors(ids) for ids in encoded])
    together = model.vectors(*encoded)
    assert (alone * together).sum(axis=1).min() >= 0.9995
    np.testing.assert_allclose(alone, together, atol=0.002)


def test_a_row_without_tokens_gets_the_zero_vector(model: Model) -> None:
    ids = model.encode(TEXTS[1])
    vectors = model.run(np.array([ids, ids]), np.array([[1] * len(ids), [0] * len(ids)]))
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(vectors[1], np.zeros_like(vectors[1]))


def test_the_longest_text_and_the_largest_batch_run(model: Model) -> None:
    longest = model.encode(" ".join(TEXTS) * 40)
    assert len(longest) == model.loaded.manifest.limits["max_tokens"]
    assert np.isfinite(model.vectors(longest)).all()
    batch = model.vectors(*[model.encode(TEXTS[0])] * model.loaded.manifest.batching.max_batch)
    assert np.ptp(batch, axis=0).max() <= 1e-5


def test_the_tokeniser_neither_pads_nor_truncates(model: Model) -> None:
    assert model.tokenizer.padding is None
    assert model.tokenizer.truncation is None


def test_every_file_fits_the_repository(model: Model) -> None:
    assert all(path.stat().st_size <= 35 * 1024 * 1024 for path in model.loaded.folder.iterdir())
    assert "draft" not in (model.loaded.folder / "card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        (
            "space battle film",
            "A farm boy joins rebels in a war among the stars and destroys the empire's armoured station.",
            "A bookshop owner in London falls in love with a famous actress.",
        ),
        (
            "cooking game for the whole family",
            "Chop, fry and serve together in a chaotic kitchen, up to four players.",
            "A tactical shooter set in the trenches of the First World War.",
        ),
        (
            "scary haunted house movie",
            "A family moves into an old mansion where ghosts whisper at night and horror waits in the cellar.",
            "A documentary about penguins crossing the ice to breed.",
        ),
    ],
)
def test_a_description_that_fits_is_nearer(model: Model, query: str, near: str, far: str) -> None:
    assert model.likeness(query, near) > model.likeness(query, far) + 0.05


def test_sentence_vectors_see_word_order_and_word_embeddings_do_not(model: Model) -> None:
    likeness = model.likeness("the hero betrays the villain", "the villain betrays the hero")
    if model.loaded.manifest.name == "word-embedding":
        assert likeness == pytest.approx(1, abs=1e-5)
    else:
        assert likeness < 0.999


def test_integer_products_cannot_saturate_on_older_processors() -> None:
    graph = onnx.load(MODELS / "minilm-sentence-vectors" / "1" / "model.onnx").graph
    weights = [numpy_helper.to_array(each) for each in graph.initializer if each.name.endswith(".weight_values")]
    assert len(weights) == 24
    for weight in weights:
        magnitudes = np.abs(weight.astype(np.int32))
        assert (magnitudes[::2] + magnitudes[1::2]).max() <= 128
