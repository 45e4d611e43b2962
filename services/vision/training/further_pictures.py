"""Pictures of other kinds than photographs, on which the image network is compared with its original."""

from __future__ import annotations

import numpy as np

from services.vision.pipelines.image_decoding import DecodedPicture
from services.vision.pipelines.picture import reshape
from services.vision.pipelines.picture_shape import PictureShape
from services.vision.training.data.doom_frames import collect
from services.vision.training.data.fashion_mnist import load_fashion_mnist
from services.vision.training.parity import Pixels

GARMENTS = 120
MAPS = (1, 8, 15, 22)
FRAMES_A_MAP = 25


def further_pictures(shape: PictureShape, seed: int) -> Pixels:
    """Return uint8[220, H, W, 3]: garments of Fashion-MNIST, much enlarged, and frames of Freedoom.

    Args:
        shape: what the network looks at.
        seed: of the game's players.

    Raises:
        SourceUnavailable: Fashion-MNIST cannot be fetched.
    """
    garments, _ = load_fashion_mnist("train")
    grey = [np.repeat(garment, 3, axis=2) for garment in garments[:GARMENTS]]
    frames = [frame.pixels for frame in collect(MAPS, seed, FRAMES_A_MAP)]
    pictures = [DecodedPicture(pixels, pixels.shape[1], pixels.shape[0]) for pixels in (*grey, *frames)]
    return np.stack([reshape(picture, shape).pixels for picture in pictures])
