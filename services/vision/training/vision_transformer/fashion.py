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
PASSES = (
    FittingOptions(epochs=8, rate=3e-3, left_after=6),
    FittingOptions(epochs=4, rate=1.2e-3, batch=50, average_steps=800, seed=1, warm_up=0.05, left_after=1),
    FittingOptions(epochs=2, rate=9e-4, batch=50, average_steps=800, seed=2, warm_up=0.05, left_after=1),
)
"""Each goes on from the mean weights of the one before; the later ones take smaller batches at a lower rate."""
VALIDATION = 5_000
"""Pictures of the training set that are held out of the fit; the sizes above were chosen on them."""


def split() -> tuple[Pictures, Pictures]:
    """Returns what is fitted on (55,000) and what is chosen on (5,000): a fixed random split of the training set."""
    pixels, classes = load_fashion_mnist("train")
    order = np.random.default_rng(0).permutation(len(classes))
    pictures = Pictures(pixels, classes)
    return pictures.chosen(np.sort(order[VALIDATION:])), pictures.chosen(np.sort(order[:VALIDATION]))


def fitted() -> tuple[VisionTransformer, float]:
    """Returns the fitted network and its accuracy on the validation pictures.

    Each pass after the first leaves one more convolution of the stem as it is, which saves time (Brock et al. 2017,
    "FreezeOut").
    """
    fitting, validation = split()
    network = VisionTransformer(SHAPE, float(fitting.pixels.mean()), float(fitting.pixels.std()))
    found = 0.0
    for number, options in enumerate(PASSES):
        network.stem[:number].requires_grad_(False)
        found = fit(network, fitting, validation, options, clothes, f"{NAME}-{number + 1}")
    return network, found


if __name__ == "__main__":
    fitted()
