"""Imported detectors, asked through a real vision service, against the transformers library and its own processor.
Needs torch: `make test-training` runs this.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.repository.manifest import read_manifest
from services.runtime.training.imports.importer import Precision
from services.vision.pipelines.image_decoding import decode_shaped
from services.vision.pipelines.picture_shape import shape_of
from tests.unit.services.vision.training.imports.tiny import (
    FILES,
    images,
    import_tiny,
    processed,
    service,
    write_tiny,
)

# An export takes seconds, and more than a minute where the machine has other work.
pytestmark = pytest.mark.timeout(900)
LABELS = {0: "N/A", 1: "cat", 2: "rocket", 3: "N/A", 4: "coffee"}
SIZES = {"size": {"shortest_edge": 96, "longest_edge": 128}, "resample": 2}
DETR: dict[str, Any] = {
    "use_timm_backbone": False,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_queries": 7,
    "id2label": LABELS,
}


def detr(**backbone: Any) -> transformers.DetrForObjectDetection:
    small = {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
    resnet = transformers.ResNetConfig(**{**small, **backbone}, out_features=["stage4"])
    return transformers.DetrForObjectDetection(transformers.DetrConfig(**DETR, backbone_config=resnet))


def yolos() -> transformers.YolosForObjectDetection:
    config = transformers.YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=[64, 96],
        patch_size=16,
        num_detection_tokens=7,
        id2label=LABELS,
    )
    return transformers.YolosForObjectDetection(config)


async def compare(models: Path, tmp_path: Path, network: Any, processor: Any, near: float = 1e-3) -> None:
    """Ask for every object there may be, and expect what the original finds in the same pixels, which are about those
    that the library's own processor makes.
    """
    shape = shape_of(read_manifest(models / "mine" / "1").limits)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (processor.image_mean, processor.image_std))
    async with service(models, tmp_path) as stub:
        request = pb.DetectObjectsRequest(images=images(), model="mine", minimum_score=0, top_count=300)
        reply = await stub.DetectObjects(request)
    for path, result in zip(FILES, reply.results, strict=True):
        picture = decode_shaped(path.read_bytes(), shape)
        value = (torch.from_numpy(picture.pixels).permute(2, 0, 1) / 255 - mean) / deviation
        own = processed(processor, path)[0]
        assert own.shape == value.shape
        assert (value - own).abs().mean() < 0.1
        said = network(value[None])
        best, columns = torch.softmax(said.logits[0], dim=-1)[:, [1, 2, 4]].max(dim=-1)
        order = best.argsort(descending=True, stable=True).tolist()
        assert [one.score for one in result.objects] == pytest.approx(best[order].tolist(), abs=near)
        for one, query in zip(result.objects, order, strict=True):
            x, y, wide, high = said.pred_boxes[0, query].tolist()
            corners = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            box = (one.box.left, one.box.top, one.box.right, one.box.bottom)
            assert box == pytest.approx([min(1.0, max(0.0, edge)) for edge in corners], abs=near)
            assert one.label == ["cat", "rocket", "coffee"][columns[query]]
        assert (result.width, result.height) == (picture.width, picture.height)


@pytest.mark.parametrize("precision", ["float32", "float16"])
async def test_detr_finds_what_the_original_finds(models: Path, tmp_path: Path, precision: Precision) -> None:
    network = write_tiny(tmp_path / "detr", detr(), SIZES)
    version = import_tiny(tmp_path / "detr", models, precision=precision)

    near = 1e-3 if precision == "float32" else 0.02
    await compare(models, tmp_path, network, DetrImageProcessorPil(**SIZES), near)
    card = (version / "card.md").read_text()
    assert "cat, rocket, coffee" in card
    assert "shorter side 96, longer side at most 128, in the picture's own proportions, bilinear" in card


async def test_yolos_finds_what_the_original_finds(models: Path, tmp_path: Path) -> None:
    network = write_tiny(tmp_path / "yolos", yolos(), SIZES)
    import_tiny(tmp_path / "yolos", models)

    await compare(models, tmp_path, network, YolosImageProcessorPil(**SIZES))


async def test_a_detector_of_one_size_sees_the_stretched_picture(models: Path, tmp_path: Path) -> None:
    fixed = {"size": {"height": 64, "width": 96}, "resample": 2, "do_pad": False}
    network = write_tiny(tmp_path / "yolos", yolos(), fixed)
    version = import_tiny(tmp_path / "yolos", models)

    assert "the whole picture stretched to 96 × 64" in (version / "card.md").read_text()
    await compare(models, tmp_path, network, YolosImageProcessorPil(**fixed))


def as_timm(name: str) -> str:
    """The name that the timm library gives to a tensor of the transformers library's ResNet."""
    kinds = {"convolution": "conv", "normalization": "bn"}
    name = name.replace("embedder.embedder.convolution", "conv1").replace("embedder.embedder.normalization", "bn1")
    name = re.sub(
        r"encoder\.stages\.(\d)\.layers\.(\d+)\.shortcut\.(convolution|normalization)",
        lambda found: f"layer{int(found[1]) + 1}.{found[2]}.downsample.{list(kinds).index(found[3])}",
        name,
    )
    return re.sub(
        r"encoder\.stages\.(\d)\.layers\.(\d+)\.layer\.(\d)\.(convolution|normalization)",
        lambda found: f"layer{int(found[1]) + 1}.{found[2]}.{kinds[found[4]]}{int(found[3]) + 1}",
        name,
    )


async def test_a_backbone_named_as_timm_names_it_is_the_same_network(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "detr"
    widths = {"embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]}
    network = write_tiny(folder, detr(**widths), SIZES, spread=0.03)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    renamed = {as_timm(name): value for name, value in weights.items()}
    assert sum(name not in weights for name in renamed) >= 100
    safetensors.torch.save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"backbone_config": None, "use_timm_backbone": True, "backbone": "resnet18"}
    (folder / "config.json").write_text(json.dumps(config))

    import_tiny(folder, models)

    await compare(models, tmp_path, network, DetrImageProcessorPil(**SIZES))
