"""The version folder of `vit-fashion-mnist`: fit, export, measure on the test set."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from services.vision.training import speed
from services.vision.training.data.fashion_mnist import LABELS, load_fashion_mnist
from services.vision.training.version import Version
from services.vision.training.vision_transformer import fashion, measuring
from services.vision.training.vision_transformer.fitting import answers
from services.vision.training.vision_transformer.graph import compact, export
from services.vision.training.vision_transformer.manifest import finished
from services.vision.training.vision_transformer.measuring import Pixels

SAMPLES_FILE = "samples.png"
FLOOR = 0.93


def build_fashion() -> Version:
    """Fits (45 minutes of one core), exports, and reads the test set once.

    Raises:
        SourceUnavailable: the pictures cannot be fetched.
    """
    network, chosen_on = fashion.fitted()
    pixels, true = load_fashion_mnist("t10k")
    graph = export(network)
    served = compact(graph)
    given, _ = measuring.graph_answers(served, pixels)
    original, _ = answers(network, pixels)
    accuracy = measuring.accuracy(given.argmax(1), true)
    before = measuring.accuracy(original.argmax(1), true)
    fields = {
        "accuracy": accuracy,
        "verdict": "reached" if accuracy.value >= FLOOR else "MISSED",
        "validation": chosen_on,
        "before": before,
        "difference": float(np.abs(given - original).max()),
        "changed": int((given.argmax(1) != original.argmax(1)).sum()),
        "confusions": measuring.confusion_table(measuring.confusions(given.argmax(1), true, 8), LABELS, 1_000),
        "milliseconds": measuring.milliseconds(served, fashion.SHAPE.side),
    }
    known = measuring.coloured(fashion.split()[1].pixels)
    return finished(
        fashion.NAME,
        network,
        served,
        {
            "description": "Names one of ten kinds of clothes on a small grey picture; there to compare with others.",
            "license": "MIT",
            "source": "fitted on Fashion-MNIST (MIT, Zalando SE), Debian dataset-fashion-mnist",
        },
        LABELS,
        [{"pixels": known[:1]}, {"pixels": known[1:6]}],
        fields | {"hardware": speed.hardware()},
        accuracy.value >= before.value - 0.01,
        f"test accuracy {accuracy}, float32 {before.value:.2%}, validation {chosen_on:.2%}",
        {SAMPLES_FILE: _samples(pixels, true)},
    )


def _samples(pixels: Pixels, classes: measuring.Classes) -> bytes:
    """Returns a PNG with a column for each class and five pictures in each, at twice their size."""
    columns = [np.concatenate(pixels[classes == each][:5, :, :, 0]) for each in range(len(LABELS))]
    picture = Image.fromarray(np.concatenate(columns, axis=1))
    buffer = io.BytesIO()
    picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
