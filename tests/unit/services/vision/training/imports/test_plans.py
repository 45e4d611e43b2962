"""What is read of a vision checkpoint before anything is converted; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.cli.model_importers import all_importers
from services.runtime.training.imports.checkpoint import Checkpoint, read_checkpoint
from services.runtime.training.imports.importer import choose
from services.runtime.training.imports.refusal import ImportRefused
from services.vision.training.imports.plans import PicturePlan, plan_detection, plan_recognition
from services.vision.training.imports.preprocessing import PREPROCESSOR_FILE
from services.vision.training.imports.timm_backbone import native_name
from tests.support.checkpoints import write_json, write_safetensors

VIT: Mapping[str, Any] = {
    "architectures": ["ViTForImageClassification"],
    "model_type": "vit",
    "image_size": 224,
    "id2label": {"0": "doom", "1": "pong"},
}
DETR: Mapping[str, Any] = {
    "architectures": ["DetrForObjectDetection"],
    "model_type": "detr",
    "id2label": {"0": "N/A", "1": "cat", "2": "N/A", "3": "dog"},
}
STRETCHED = {"size": {"height": 224, "width": 224}}
SIZES = {"size": {"shortest_edge": 800, "longest_edge": 1333}}


def checkpoint(tmp_path: Path, config: Mapping[str, Any], preprocessor: Any) -> Checkpoint:
    folder = tmp_path / "model"
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", {"first": [8, 4]})
    if preprocessor is not None:
        write_json(folder / PREPROCESSOR_FILE, preprocessor)
    return read_checkpoint(folder, "it")


def vit(tmp_path: Path, preprocessor: Any = STRETCHED, **changes: Any) -> PicturePlan:
    return plan_recognition(checkpoint(tmp_path, {**VIT, **changes}, preprocessor))


def detr(tmp_path: Path, preprocessor: Any = SIZES, **changes: Any) -> PicturePlan:
    return plan_detection(checkpoint(tmp_path, {**DETR, **changes}, preprocessor))


@pytest.mark.parametrize(
    ("stated", "limits"),
    [
        ({"size": {"height": 224, "width": 224}}, {"side": 224, "resize_side": 0, "resample": 2}),
        ({"size": 224, "resample": 3}, {"side": 224, "resize_side": 0, "resample": 3}),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            {"side": 224, "resize_side": 256, "resample": 2},
        ),
        (
            {"size": 256, "do_center_crop": True, "crop_size": 224},
            {"side": 224, "resize_side": 256, "resample": 2},
        ),
        ({**STRETCHED, "do_center_crop": True, "crop_size": 224}, {"side": 224, "resize_side": 0, "resample": 2}),
    ],
)
def test_a_vit_sees_pictures_as_its_processor_makes_them(
    tmp_path: Path, stated: dict[str, Any], limits: dict[str, int]
) -> None:
    assert vit(tmp_path, stated).preprocessing.limits == limits


@pytest.mark.parametrize(
    ("stated", "limits"),
    [
        (SIZES, {"shortest_side": 800, "longest_side": 1333, "resample": 2}),
        ({"size": 800, "max_size": 1333}, {"shortest_side": 800, "longest_side": 1333, "resample": 2}),
        ({"size": {"height": 512, "width": 864}}, {"height": 512, "width": 864, "resample": 2}),
    ],
)
def test_a_detector_sees_the_whole_picture(tmp_path: Path, stated: dict[str, Any], limits: dict[str, int]) -> None:
    assert detr(tmp_path, stated).preprocessing.limits == limits


def test_the_arithmetic_on_pixels_is_the_processors(tmp_path: Path) -> None:
    own = vit(tmp_path, {**STRETCHED, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.5]}).preprocessing
    assert 102 * own.scale[0] + own.offset[0] == pytest.approx(0)
    assert 255 * own.scale[1] + own.offset[1] == pytest.approx(2)
    plain = detr(tmp_path / "plain", {**SIZES, "do_normalize": False}).preprocessing
    assert plain.scale[0] * 255 == pytest.approx(1)
    assert list(plain.offset) == [0, 0, 0]
    default = vit(tmp_path / "default").preprocessing
    assert 255 * default.scale[0] + default.offset[0] == pytest.approx(1)
    assert default.offset[0] == -1


def test_numbers_that_stand_for_no_class_are_left_out(tmp_path: Path) -> None:
    plan = detr(tmp_path)
    assert (list(plan.labels), list(plan.columns)) == (["cat", "dog"], [1, 3])


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (None, f"{PREPROCESSOR_FILE} is missing"),
        ({"size": {"longest_edge": 224}}, "a size in longest_edge"),
        ({"size": "large"}, "states no size"),
        ({"size": {"height": 100_000, "width": 224}}, "states no size"),
        ({**STRETCHED, "do_resize": False}, "do_resize is false"),
        ({**STRETCHED, "do_flip_channel_order": True}, "do_flip_channel_order"),
        ({**STRETCHED, "resample": 77}, "resample 77"),
        ({**STRETCHED, "image_mean": [0.5]}, "image_mean .* needs three numbers"),
        ({**STRETCHED, "image_std": [0.5, 0, 0.5]}, "image_std .* above zero"),
        ({"size": {"height": 384, "width": 384}}, r"looks at 224 × 224 pixels, .*stretched to 384 × 384"),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 300}, "cuts out something else"),
    ],
)
def test_a_processor_that_cannot_be_served_is_refused(tmp_path: Path, stated: Any, message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        vit(tmp_path, stated)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_type": "multi_label_classification"}, "several labels"),
        ({"id2label": {"0": "same", "1": "same"}}, "a different name"),
        ({"id2label": {"0": "one", "7": "gap"}}, "a name in one line"),
        ({"num_channels": 1}, "pictures of 1 channels"),
        ({"image_size": "big"}, "image_size .* no size"),
    ],
)
def test_a_network_that_cannot_be_served_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        vit(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dilation": True}, "dilated convolutions"),
        ({"backbone": "convnext_tiny"}, "convnext_tiny of the timm library"),
        ({"backbone_config": {"model_type": "swin"}}, "of type swin"),
        ({"id2label": {"0": "N/A"}}, "N/A is left out"),
    ],
)
def test_a_detector_that_cannot_be_built_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        detr(tmp_path, **changes)


def test_a_detector_must_see_the_whole_picture(tmp_path: Path) -> None:
    cut = {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}
    with pytest.raises(ImportRefused, match="must see the whole picture"):
        detr(tmp_path, cut)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101.a1_in1k"])
def test_published_backbones_of_the_timm_library_are_known(tmp_path: Path, backbone: str) -> None:
    detr(tmp_path, use_timm_backbone=True, backbone=backbone)
    detr(tmp_path / "again", backbone_config={"model_type": "timm_backbone", "backbone": backbone})


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("conv1.weight", "embedder.embedder.convolution.weight"),
        ("bn1.running_mean", "embedder.embedder.normalization.running_mean"),
        ("layer1.0.conv1.weight", "encoder.stages.0.layers.0.layer.0.convolution.weight"),
        ("layer4.2.bn3.bias", "encoder.stages.3.layers.2.layer.2.normalization.bias"),
        ("layer2.0.downsample.0.weight", "encoder.stages.1.layers.0.shortcut.convolution.weight"),
        ("layer2.0.downsample.1.weight", "encoder.stages.1.layers.0.shortcut.normalization.weight"),
    ],
)
def test_layers_have_their_place_in_the_built_in_network(published: str, own: str) -> None:
    place = "model.backbone.conv_encoder.model."
    assert native_name(place + published) == place + own
    assert native_name(f"model.encoder.{published}") == f"model.encoder.{published}"


def test_the_command_knows_the_architectures_and_says_so_of_others() -> None:
    importer, task = choose(all_importers(), "YolosForObjectDetection", None)
    assert (importer.service, task) == ("vision", "object-detection")
    with pytest.raises(ImportRefused, match="SwinModel cannot be imported") as caught:
        choose(all_importers(), "SwinModel", None)
    assert "DetrForObjectDetection" in caught.value.advice
    assert "ViTForImageClassification" in caught.value.advice
