"""What a checkpoint's `preprocessor_config.json` says of pictures: how they are scaled, and what becomes of a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused

PREPROCESSOR_FILE = "preprocessor_config.json"
# Pillow's numbers of filters, which the transformers library writes too.
_FILTERS = {0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming"}
_BILINEAR = 2
_CHANNELS = 3
_LARGEST_SIDE = 2_048
# Means and deviations of the library for checkpoints that state none: DETR and YOLOS those of ImageNet, ViT a half.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture before the network.

    Attributes:
        limits: entries of `limits` in `model.yaml`, which the service reads.
        scale: of each channel; a byte times its scale plus its offset is what the network reads.
        offset: of each channel.
        shown: the resizing in words, for the card.
    """

    limits: Mapping[str, int]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    shown: str

    @property
    def fixed(self) -> tuple[int, int] | None:
        """Height and width that every picture is brought to; None where they differ from picture to picture."""
        if "height" in self.limits:
            return self.limits["height"], self.limits["width"]
        return (self.limits["side"], self.limits["side"]) if "side" in self.limits else None


def read_preprocessing(checkpoint: Checkpoint, defaults: tuple[Sequence[float], Sequence[float]]) -> Preprocessing:
    """Read the file.

    Args:
        checkpoint: whose.
        defaults: mean and deviation of a checkpoint that states none.

    Raises:
        ImportRefused: it is missing, or asks for something that the service does not do.
    """
    stated = checkpoint.read_json(PREPROCESSOR_FILE)
    if not isinstance(stated, dict):
        raise ImportRefused(
            f"{PREPROCESSOR_FILE} is missing; it says how pictures are scaled, without which answers would be wrong",
            "Copy it from the original checkpoint, or save it: "
            "AutoImageProcessor.from_pretrained(original).save_pretrained(folder).",
        )
    for key in ("do_flip_channel_order", "do_grayscale", "do_thumbnail", "do_align_long_axis"):
        if stated.get(key):
            raise ImportRefused(f"{PREPROCESSOR_FILE} asks for {key}, which the service does not do")
    if not stated.get("do_resize", True):
        raise ImportRefused(
            f"{PREPROCESSOR_FILE} leaves pictures at their own size (do_resize is false); the service needs one"
        )
    limits, shown = _size(stated)
    if stated.get("do_center_crop"):
        limits, shown = _crop(stated, limits)
    resample = stated.get("resample", _BILINEAR)
    if resample not in _FILTERS:
        raise ImportRefused(f"{PREPROCESSOR_FILE} names a filter that there is not: resample {str(resample)[:20]}")
    scale, offset = _pixels(stated, defaults)
    return Preprocessing({**limits, "resample": resample}, scale, offset, f"{shown}, {_FILTERS[resample]}")


def _size(stated: Mapping[str, Any]) -> tuple[dict[str, int], str]:
    size = stated.get("size")
    if isinstance(size, int) and "max_size" in stated:
        size = {"shortest_edge": size, "longest_edge": stated["max_size"]}
    elif isinstance(size, int) and stated.get("do_center_crop"):
        size = {"shortest_edge": size}
    elif isinstance(size, int):
        size = {"height": size, "width": size}
    if not isinstance(size, dict) or not all(_is_side(side) for side in size.values() if side is not None):
        raise ImportRefused(f"{PREPROCESSOR_FILE} states no size of 1 to {_LARGEST_SIDE} pixels")
    sides = {name: side for name, side in size.items() if side is not None}
    match sorted(sides):
        case ["height", "width"]:
            height, width = sides["height"], sides["width"]
            shown = f"the whole picture stretched to {width} × {height}"
            return ({"side": height, "resize_side": 0} if height == width else sides), shown
        case ["longest_edge", "shortest_edge"]:
            shortest, longest = sides["shortest_edge"], sides["longest_edge"]
            shown = f"shorter side {shortest}, longer side at most {longest}, in the picture's own proportions"
            return {"shortest_side": shortest, "longest_side": longest}, shown
        case ["shortest_edge"]:
            return {"shortest_side": sides["shortest_edge"], "longest_side": _LARGEST_SIDE}, ""
    raise ImportRefused(f"{PREPROCESSOR_FILE} states a size in {', '.join(sorted(sides))}, which is not supported")


def _crop(stated: Mapping[str, Any], limits: Mapping[str, int]) -> tuple[dict[str, int], str]:
    crop = stated.get("crop_size")
    sides = set(crop.values()) if isinstance(crop, dict) else {crop}
    side = sides.pop() if len(sides) == 1 else None
    resized = limits.get("shortest_side", limits.get("side"))
    stretched = "resize_side" in limits
    if not isinstance(side, int) or resized is None or not 1 <= side <= resized or (stretched and resized != side):
        raise ImportRefused(f"{PREPROCESSOR_FILE} cuts out something else than the middle square of a resized picture")
    if stretched:
        return dict(limits), f"the whole picture stretched to {side} × {side}"
    return {"side": side, "resize_side": resized}, f"shorter side {resized}, then the middle {side} × {side}"


def _pixels(
    stated: Mapping[str, Any], defaults: tuple[Sequence[float], Sequence[float]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    factor = stated.get("rescale_factor", 1 / 255) if stated.get("do_rescale", True) else 1.0
    if not stated.get("do_normalize", True):
        return (float(factor),) * _CHANNELS, (0.0,) * _CHANNELS
    mean, deviation = stated.get("image_mean", defaults[0]), stated.get("image_std", defaults[1])
    for name, values in (("image_mean", mean), ("image_std", deviation)):
        numbers = isinstance(values, list | tuple) and all(isinstance(value, int | float) for value in values)
        if not numbers or len(values) != _CHANNELS:
            raise ImportRefused(f"{name} of {PREPROCESSOR_FILE} needs three numbers, of red, green and blue")
    if min(deviation) <= 0:
        raise ImportRefused(f"image_std of {PREPROCESSOR_FILE} needs numbers above zero")
    scale = tuple(factor / value for value in deviation)
    return scale, tuple(-middle / value for middle, value in zip(mean, deviation, strict=True))


def _is_side(value: object) -> bool:
    return isinstance(value, int) and 1 <= value <= _LARGEST_SIDE
