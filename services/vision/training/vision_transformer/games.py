"""The fit of `vit-atari-games`: sizes and the fitted network."""

from __future__ import annotations

from services.vision.training.data.atari_screenshots import SIDE, game_names, load_stretched
from services.vision.training.vision_transformer.augmentation import screenshots
from services.vision.training.vision_transformer.fitting import FittingOptions, Pictures, fit
from services.vision.training.vision_transformer.network import NetworkShape, VisionTransformer

NAME = "vit-atari-games"
STEM = ((32, 7, 3), (64, 3, 2), (96, 3, 2))
OPTIONS = FittingOptions(epochs=8, rate=1.5e-3, batch=64)


def pictures(part: str) -> Pictures:
    """Returns one part of the screenshots at the size that the network looks at."""
    return Pictures(*load_stretched(part))


def fitted() -> tuple[VisionTransformer, float]:
    """Returns the fitted network and its accuracy on the validation pictures."""
    fitting, validation = pictures("fit"), pictures("validation")
    shape = NetworkShape(SIDE, len(game_names()), STEM, dimensions=96, blocks=3, heads=3)
    network = VisionTransformer(shape, float(fitting.pixels.mean()), float(fitting.pixels.std()))
    return network, fit(network, fitting, validation, OPTIONS, screenshots, NAME)


if __name__ == "__main__":
    fitted()
