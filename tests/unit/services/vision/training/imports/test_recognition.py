"""Imported ViT checkpoints, asked through a real vision service, against the transformers library and its own
processor. Needs torch: `make test-training` runs this.
"""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import safetensors.torch
import torch
import transformers
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.repository.manifest import read_manifest
from services.runtime.training.imports.importer import Precision
from services.runtime.training.imports.refusal import ImportRefused
from services.vision.pipelines.image_decoding import decode_shaped
from services.vision.pipelines.picture_shape import shape_of
from tests.unit.services.vision.training.imports.tiny import (
    FILES,
    STRETCHED,
    VIT,
    images,
    import_tiny,
    processed,
    service,
    write_tiny,
)

# An export takes seconds, and more than a minute where the machine has other work.
pytestmark = pytest.mark.timeout(900)
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LABELS = ["doom", "pong", "tetris"]
NEAR: dict[Precision, float] = {"float32": 0.02, "float16": 0.02, "int8": 0.1}


def namer() -> transformers.ViTForImageClassification:
    config = transformers.ViTConfig(**VIT, id2label=dict(enumerate(LABELS)))
    return transformers.ViTForImageClassification(config)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
async def test_labels_and_vectors_are_the_originals(models: Path, tmp_path: Path, precision: Precision) -> None:
    network = write_tiny(tmp_path / "vit", namer(), STRETCHED)
    version = import_tiny(tmp_path / "vit", models, precision=precision, embedded_bytes=0)
    values = [processed(ViTImageProcessorPil(**STRETCHED), path) for path in FILES]

    async with service(models, tmp_path) as stub:
        named = await stub.ClassifyImage(pb.ClassifyImageRequest(images=images(), model="mine"))
        vectors = await stub.EmbedImage(pb.EmbedImageRequest(images=images(), model="mine"))

    for value, result, vector in zip(values, named.results, vectors.vectors, strict=True):
        expected = torch.softmax(network(value).logits[0], dim=0).tolist()
        found = {label.class_index: label.probability for label in result.labels}
        assert [found[index] for index in range(3)] == pytest.approx(expected, abs=NEAR[precision])
        assert [label.label for label in result.labels] == [LABELS[label.class_index] for label in result.labels]
        states = network.vit(value).last_hidden_state[0, 0]
        own = torch.nn.functional.normalize(states, dim=0).numpy()
        assert numpy.frombuffer(vector.values, "<f4") @ own > 1 - NEAR[precision]
    assert (vectors.dimensions, named.report.model) == (32, "mine")
    card = (version / "card.md").read_text()
    assert "largest difference of a probability" in card
    assert "doom, pong, tetris" in card
    assert "the whole picture stretched to 64 × 64, bilinear" in card


async def test_a_cut_and_a_normalisation_of_its_own_are_served(models: Path, tmp_path: Path) -> None:
    own = {
        "do_center_crop": True,
        "crop_size": {"height": 64, "width": 64},
        "size": {"shortest_edge": 72},
        "resample": 3,
        "image_mean": MEAN,
        "image_std": DEVIATION,
    }
    network = write_tiny(tmp_path / "vit", namer(), own)
    version = import_tiny(tmp_path / "vit", models)
    shape = shape_of(read_manifest(version).limits)
    processor = ViTImageProcessorPil(**own, default_to_square=False)

    async with service(models, tmp_path) as stub:
        named = await stub.ClassifyImage(pb.ClassifyImageRequest(images=images()))

    for path, result in zip(FILES, named.results, strict=True):
        pixels = torch.from_numpy(decode_shaped(path.read_bytes(), shape).pixels).permute(2, 0, 1) / 255
        value = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
        # The library cuts at whole pixels, the service between them.
        assert (value - processed(processor, path)[0]).abs().mean() < 0.15
        expected = torch.softmax(network(value[None]).logits[0], dim=0).tolist()
        found = {label.class_index: label.probability for label in result.labels}
        assert [found[index] for index in range(3)] == pytest.approx(expected, abs=1e-4)


async def test_a_network_without_a_head_gives_vectors_and_no_labels(models: Path, tmp_path: Path) -> None:
    network = write_tiny(tmp_path / "vit", transformers.ViTModel(transformers.ViTConfig(**VIT)), STRETCHED)
    import_tiny(tmp_path / "vit", models)

    async with service(models, tmp_path) as stub:
        vectors = await stub.EmbedImage(pb.EmbedImageRequest(images=images()))
        with pytest.raises(Exception, match="it does image-vectors"):
            await stub.ClassifyImage(pb.ClassifyImageRequest(images=images()))

    for path, vector in zip(FILES, vectors.vectors, strict=True):
        states = network(processed(ViTImageProcessorPil(**STRETCHED), path)).last_hidden_state[0, 0]
        own = torch.nn.functional.normalize(states, dim=0).numpy()
        assert numpy.frombuffer(vector.values, "<f4") @ own > 0.99


def test_weights_without_the_head_are_refused(models: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "vit", namer(), STRETCHED)
    weights = safetensors.torch.load_file(tmp_path / "vit" / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(kept, tmp_path / "vit" / "model.safetensors", {"format": "pt"})

    with pytest.raises(ImportRefused, match=r"the weights lack 2 of the network's tensors, the first is classifier"):
        import_tiny(tmp_path / "vit", models)
    assert list(models.iterdir()) == []
