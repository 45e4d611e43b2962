"""Imported encoders, asked through a real text service, against the transformers library. Needs torch: `make
test-training` runs this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy
import numpy.typing
import pytest
import safetensors.torch
import torch
import transformers

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.training.imports.refusal import ImportRefused
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.checkpoints import byte_tokenizer, write_json
from tests.support.servers import running
from tests.unit.services.text.training.imports.tiny import ENCODERS, import_tiny, write_tiny

# An export takes seconds, and more than a minute where the machine has other work.
pytestmark = pytest.mark.timeout(900)
Stub: TypeAlias = "text_service_pb2_grpc.TextServiceAsyncStub"
TEXTS = ["gg wp", "Two robots fall in love on a space station.", "why? " * 12, "Zürich, 東京 🎬", "a"]
TEMPLATE = "<s> $A </s>"
POOLING: dict[str, Any] = {
    "bert": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
    "roberta": {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True},
}


def tokens(text: str) -> torch.Tensor:
    return torch.tensor([byte_tokenizer(TEMPLATE).encode(text).ids])


def write_encoder(folder: Path, kind: str) -> torch.nn.Module:
    network = write_tiny(folder, transformers.AutoModel, ENCODERS[kind], TEMPLATE)
    if kind in POOLING:
        modules = ["Transformer", "Pooling", "Normalize"]
        paths = ["", "1_Pooling", "2_Normalize"]
        listed = [{"type": f"sentence_transformers.models.{a}", "path": b} for a, b in zip(modules, paths, strict=True)]
        write_json(folder / "modules.json", listed)
        write_json(folder / "1_Pooling" / "config.json", POOLING[kind])
    return network


def unit_vector(network: torch.nn.Module, text: str, kind: str) -> numpy.typing.NDArray[numpy.float32]:
    found = network(input_ids=tokens(text)).last_hidden_state[0]
    pooled = found[0] if kind == "roberta" else found.mean(dim=0)
    result: numpy.typing.NDArray[numpy.float32] = torch.nn.functional.normalize(pooled, dim=0).numpy()
    return result


@asynccontextmanager
async def service(models: Path, tmp_path: Path, default: str) -> AsyncIterator[Stub]:
    settings = TextSettings(port=0, model_repository=models, bundle_repository=tmp_path, default_model=default)
    async with running(build(settings), settings) as server:
        yield text_service_pb2_grpc.TextServiceStub(server.channel)


@pytest.mark.parametrize("kind", list(ENCODERS))
async def test_vectors_are_the_originals(models: Path, tmp_path: Path, kind: str) -> None:
    network = write_encoder(tmp_path / kind, kind)
    import_tiny(tmp_path / kind, models, "mine")
    async with service(models, tmp_path, "mine") as stub:
        reply = await stub.EmbedText(pb.EmbedTextRequest(texts=TEXTS, model="mine"))
        for text, vector in zip(TEXTS, reply.vectors, strict=True):
            found = numpy.frombuffer(vector.values, "<f4")
            assert found == pytest.approx(unit_vector(network, text, kind), abs=1e-4)
            (alone,) = (await stub.EmbedText(pb.EmbedTextRequest(texts=[text], model="mine"))).vectors
            assert numpy.frombuffer(alone.values, "<f4") == pytest.approx(found, abs=1e-5)
    assert (reply.dimensions, reply.report.model) == (32, "mine")


async def test_a_language_model_of_masked_words_gives_vectors(models: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "masked", transformers.AutoModelForMaskedLM, ENCODERS["bert"], TEMPLATE)
    import_tiny(tmp_path / "masked", models, "mine")
    trunk = transformers.AutoModel.from_pretrained(tmp_path / "masked", add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = unit_vector(trunk, TEXTS[1], "bert")
    async with service(models, tmp_path, "mine") as stub:
        reply = await stub.EmbedText(pb.EmbedTextRequest(texts=TEXTS[1:2], model="mine"))
    assert numpy.frombuffer(reply.vectors[0].values, "<f4") == pytest.approx(expected, abs=1e-4)


async def test_vectors_of_fewer_bits_are_near(models: Path, tmp_path: Path) -> None:
    network = write_encoder(tmp_path / "bert", "bert")
    import_tiny(tmp_path / "bert", models, "mine", precision="int8", embedded_bytes=0)
    async with service(models, tmp_path, "mine") as stub:
        reply = await stub.EmbedText(pb.EmbedTextRequest(texts=TEXTS, model="mine"))
    for text, vector in zip(TEXTS, reply.vectors, strict=True):
        assert 0.99 < numpy.frombuffer(vector.values, "<f4") @ unit_vector(network, text, "bert") < 0.999999


@pytest.mark.parametrize(
    ("kind", "several"), [("bert", False), ("roberta", True), ("xlm-roberta", False), ("distilbert", False)]
)
async def test_a_classifier_answers_its_own_labels(models: Path, tmp_path: Path, kind: str, several: bool) -> None:
    labels = ["calm", "tense", "funny"]
    config = type(ENCODERS[kind])(
        **{
            **ENCODERS[kind].to_dict(),
            "id2label": dict(enumerate(labels)),
            "problem_type": "multi_label_classification" if several else None,
        }
    )
    network = write_tiny(tmp_path / kind, transformers.AutoModelForSequenceClassification, config, TEMPLATE)
    import_tiny(tmp_path / kind, models, "mine")
    async with service(models, tmp_path, "mine") as stub:
        reply = await stub.ClassifyText(pb.ClassifyTextRequest(texts=TEXTS, model="mine"))
    for text, result in zip(TEXTS, reply.results, strict=True):
        logits = network(input_ids=tokens(text)).logits[0]
        expected = torch.sigmoid(logits) if several else torch.softmax(logits, dim=0)
        found = {one.label: one.score for one in result.labels}
        assert [found[label] for label in labels] == pytest.approx(expected.tolist(), abs=1e-4)
        assert [one.score for one in result.labels] == sorted(found.values(), reverse=True)


def test_weights_without_the_head_are_refused(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    write_tiny(folder, transformers.AutoModelForSequenceClassification, ENCODERS["bert"], TEMPLATE)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ImportRefused, match=r"the weights lack 2 of the network's tensors, the first is classifier"):
        import_tiny(folder, models, "mine")
    assert list(models.iterdir()) == []


def test_weights_of_another_size_are_refused(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    write_tiny(folder, transformers.AutoModel, ENCODERS["bert"], TEMPLATE)
    config = transformers.BertConfig(
        **{**ENCODERS["bert"].to_dict(), "intermediate_size": 48, "architectures": ["BertModel"]}
    )
    config.save_pretrained(folder)
    with pytest.raises(ImportRefused, match="do not fit BertModel"):
        import_tiny(folder, models, "mine")
