"""Published DETR checkpoints name the layers of their ResNet as the timm library does, which is not needed here: the
network is the one that the transformers library has built in (ResNet with the stride in the 3 × 3 convolution), under
other names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from services.runtime.training.imports.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint
from services.runtime.training.imports.refusal import ImportRefused

_BASIC, _BOTTLENECK = [64, 128, 256, 512], [256, 512, 1024, 2048]
RESNETS: Mapping[str, Mapping[str, Any]] = {
    "resnet18": {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": _BASIC},
    "resnet34": {"layer_type": "basic", "depths": [3, 4, 6, 3], "hidden_sizes": _BASIC},
    "resnet50": {"layer_type": "bottleneck", "depths": [3, 4, 6, 3], "hidden_sizes": _BOTTLENECK},
    "resnet101": {"layer_type": "bottleneck", "depths": [3, 4, 23, 3], "hidden_sizes": _BOTTLENECK},
    "resnet152": {"layer_type": "bottleneck", "depths": [3, 8, 36, 3], "hidden_sizes": _BOTTLENECK},
}
_TIMM = "timm_backbone"
_PLACE = re.compile(r"(.*\bbackbone\.(?:conv_encoder\.)?model\.)(?:_backbone\.)?(.+)")
_NAMES = (
    (re.compile(r"conv1\."), "embedder.embedder.convolution."),
    (re.compile(r"bn1\."), "embedder.embedder.normalization."),
    (re.compile(r"layer(\d)\.(\d+)\.conv(\d)\."), "encoder.stages.{0}.layers.{1}.layer.{2}.convolution."),
    (re.compile(r"layer(\d)\.(\d+)\.bn(\d)\."), "encoder.stages.{0}.layers.{1}.layer.{2}.normalization."),
    (re.compile(r"layer(\d)\.(\d+)\.downsample\.0\."), "encoder.stages.{0}.layers.{1}.shortcut.convolution."),
    (re.compile(r"layer(\d)\.(\d+)\.downsample\.1\."), "encoder.stages.{0}.layers.{1}.shortcut.normalization."),
)


def check_backbone(config: Mapping[str, Any]) -> None:
    """Check that a DETR's backbone is one that can be built here.

    Raises:
        ImportRefused: it is not.
    """
    if needs_timm(config):
        if config.get("dilation"):
            raise ImportRefused("the backbone has dilated convolutions (DC5), which only the timm library builds")
        name = _timm_name(config)
        if name not in RESNETS:
            raise ImportRefused(
                f"the backbone is {name[:60]} of the timm library, which is not used here",
                f"Supported are {', '.join(RESNETS)}, and backbones that the transformers library has built in.",
            )
        return
    kind = (config.get("backbone_config") or {}).get("model_type", "resnet")
    if kind != "resnet":
        raise ImportRefused(f"the backbone is of type {str(kind)[:60]}; supported is resnet")


def needs_timm(config: Mapping[str, Any]) -> bool:
    """Tell whether the transformers library would build the backbone with the timm library."""
    backbone = config.get("backbone_config")
    if isinstance(backbone, dict):
        return backbone.get("model_type") == _TIMM
    return bool(config.get("use_timm_backbone", True))


@contextmanager
def native(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """Return the checkpoint with the names of the transformers library, for the length of a block; needs safetensors.

    Raises:
        ImportRefused: the weights lie in several files.
    """
    if not checkpoint.architecture.startswith("Detr") or not needs_timm(checkpoint.config):
        yield checkpoint
        return
    # Imported here, so that checking a checkpoint needs neither library.
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    weights = {}
    for file in checkpoint.weight_files:
        weights.update({native_name(name): tensor for name, tensor in load_file(checkpoint.folder / file).items()})
    resnet = {"model_type": "resnet", **RESNETS[_timm_name(checkpoint.config)], "out_features": ["stage4"]}
    dropped = ("backbone", "backbone_kwargs", "use_pretrained_backbone")
    config = {name: value for name, value in checkpoint.config.items() if name not in dropped}
    config |= {"use_timm_backbone": False, "backbone_config": resnet}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_file(weights, folder / WEIGHTS_FILE, {"format": "pt"})
        (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
        yield replace(checkpoint, folder=folder, config=config, weight_files=[WEIGHTS_FILE])


def native_name(name: str) -> str:
    """Return the transformers library's name of a tensor; other names than those of a timm ResNet stay."""
    place = _PLACE.fullmatch(name)
    for pattern, native_form in _NAMES if place else ():
        if found := pattern.match(place[2]):  # type: ignore[index]
            # Stages and convolutions count from one there, from zero here; blocks from zero in both.
            numbers = [int(number) - (place_of != 1) for place_of, number in enumerate(found.groups())]
            return place[1] + native_form.format(*numbers) + place[2][found.end() :]  # type: ignore[index]
    return name


def _timm_name(config: Mapping[str, Any]) -> str:
    backbone = config.get("backbone_config") or {}
    return str(config.get("backbone") or backbone.get("backbone") or "resnet50").partition(".")[0]
