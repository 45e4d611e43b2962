"""What an import of a vision checkpoint will make, read from its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.vision.training.imports.preprocessing import (
    HALF,
    IMAGENET,
    PREPROCESSOR_FILE,
    Preprocessing,
    read_preprocessing,
)
from services.vision.training.imports.timm_backbone import check_backbone

LARGEST_LABELS = 50_000
# Published detectors keep numbers of COCO that were never used under this name.
NO_CLASS = "N/A"
YOLOS_MULTIPLE = 16


@dataclass(frozen=True)
class PicturePlan:
    """How a network is fed and what its columns are called.

    Attributes:
        preprocessing: of pictures.
        labels: names of the columns that are answered; empty for vectors.
        columns: their places in the network's own answer.
    """

    preprocessing: Preprocessing
    labels: Sequence[str] = ()
    columns: Sequence[int] = ()


def plan_recognition(checkpoint: Checkpoint) -> PicturePlan:
    """Read the files of a ViT that names pictures.

    Raises:
        ImportRefused: something is missing or cannot be served.
    """
    if checkpoint.config.get("problem_type") not in (None, "single_label_classification"):
        raise ImportRefused("the classifier gives several labels or a number; served are labels of which one holds")
    labels = _labels(checkpoint)
    if len(set(labels)) < len(labels):
        raise ImportRefused("id2label of config.json needs a different name for each output")
    return PicturePlan(_vit_preprocessing(checkpoint), labels, range(len(labels)))


def plan_picture_vectors(checkpoint: Checkpoint) -> PicturePlan:
    """Read the files of a ViT without a head.

    Raises:
        ImportRefused: something is missing or cannot be served.
    """
    return PicturePlan(_vit_preprocessing(checkpoint))


def plan_detection(checkpoint: Checkpoint) -> PicturePlan:
    """Read the files of a detector.

    Raises:
        ImportRefused: something is missing or cannot be served.
    """
    if checkpoint.architecture.startswith("Detr"):
        check_backbone(checkpoint.config)
    _check_channels(checkpoint)
    preprocessing = read_preprocessing(checkpoint, IMAGENET)
    if preprocessing.limits.get("resize_side"):
        raise ImportRefused(f"{PREPROCESSOR_FILE} cuts pictures; a detector must see the whole picture")
    if checkpoint.architecture.startswith("Yolos") and not preprocessing.fixed:
        # Its processor makes both sides multiples of a patch.
        preprocessing = replace(preprocessing, limits={**preprocessing.limits, "multiple": YOLOS_MULTIPLE})
    labels = _labels(checkpoint)
    columns = [index for index, label in enumerate(labels) if label != NO_CLASS]
    kept = [labels[index] for index in columns]
    if not kept or len(set(kept)) < len(kept):
        raise ImportRefused(f"id2label of config.json needs a different name for each class; {NO_CLASS} is left out")
    return PicturePlan(preprocessing, kept, columns)


def _vit_preprocessing(checkpoint: Checkpoint) -> Preprocessing:
    _check_channels(checkpoint)
    preprocessing = read_preprocessing(checkpoint, HALF)
    own = _sides(checkpoint.config.get("image_size", 224))
    if preprocessing.fixed != own:
        height, width = own
        raise ImportRefused(
            f"the network looks at {width} × {height} pixels, {PREPROCESSOR_FILE} makes something else of a picture: "
            f"{preprocessing.shown.rpartition(',')[0]}",
            f'It should hold "size": {{"height": {height}, "width": {width}}}.',
        )
    return preprocessing


def _check_channels(checkpoint: Checkpoint) -> None:
    if (channels := checkpoint.config.get("num_channels", 3)) != 3:
        raise ImportRefused(f"the network reads pictures of {channels} channels; served are pictures of three")


def _sides(stated: Any) -> tuple[int, int]:
    sides = [stated, stated] if isinstance(stated, int) else list(stated) if isinstance(stated, list | tuple) else []
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ImportRefused("image_size of config.json is no size")
    return sides[0], sides[1]


def _labels(checkpoint: Checkpoint) -> list[str]:
    names, count = checkpoint.config.get("id2label"), checkpoint.config.get("num_labels", 2)
    # The library leaves names out that it would make up itself.
    if names is None and isinstance(count, int) and 1 <= count <= LARGEST_LABELS:
        return [f"LABEL_{index}" for index in range(count)]
    if not isinstance(names, dict) or not 1 <= len(names) <= LARGEST_LABELS:
        raise ImportRefused(f"id2label of config.json needs 1 to {LARGEST_LABELS:,} names")
    labels = [str(names.get(str(index), "")) for index in range(len(names))]
    if any(not label.strip() or len(label.splitlines()) != 1 for label in labels):
        raise ImportRefused("id2label of config.json needs a name in one line for each output, from 0 on")
    return labels
