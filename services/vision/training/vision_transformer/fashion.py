"""The fit of `vit-fashion-mnist`: sizes, split, and the fitted network."""

from __future__ import annotations

import numpy as np

from services.vision.training.data.fashion_mnist import LABELS, load_fashion_mnist
from services.vision.training.vision_transformer.augmentation import clothes
from services.vision.training.vision_transformer.fitting import FittingOptions, Pictures, fit
from services.vision.training.vision_transformer.network import NetworkShape, VisionTransformer

NAME = "vit-fashion-mnist"
SHAPE = NetworkShape(
    side=28,
    classes=len(LABELS),
    stem=((32, 3, 1), (64, 3, 2), (64, 3, 1), (96, 3, 2)),
    dimensions=96,
    blocks=2,
    heads=3,
    grey=True,
    mirrored=True,
)
OPTIONS = FittingOptions(epochs=20, rate=3e-3, average_steps=800, warm_up=0.15)
VALIDATION = 5_000
"""Pictures of the training set that are held out of the fit; the sizes above were chosen on them."""


def split() -> tuple[Pictures, Pictures]:
    """Returns what is fitted on (55,000) and what is chosen on (5,000): a fixed random split of the training set."""
    pixels, classes = load_fashion_mnist("train")
    order = np.random.default_rng(0).permutation(len(classes))
    pictures = Pictures(pixels, classes)
    return pictures.chosen(np.sort(order[VALIDATION:])), pictures.chosen(np.sort(order[:VALIDATION]))


def fitted() -> tuple[VisionTransformer, float]:
    """Returns the fitted network and its accuracy on the validation pictures."""
    fitting, validation = split()
    network = VisionTransformer(SHAPE, float(fitting.pixels.mean()), float(fitting.pixels.std()))
    return network, fit(network, fitting, validation, OPTIONS, clothes, NAME)


if __name__ == "__main__":
    fitted()
