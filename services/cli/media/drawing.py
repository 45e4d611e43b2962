"""Draws what was found into a picture: boxes with names and scores, points of faces, and a caption below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import media_service_pb2 as pb
from services.cli.moderate import ACTIONS
from services.cli.tables import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

    Font = FreeTypeFont | BitmapFont

_LEAST_SIDE, _MOST_SIDE = 800, 2_000
"""The longer side of what is drawn, in pixels: letters on a picture of 64 pixels would cover it."""
_FONT_PART = 1 / 44
_COLOURS = (
    "#ffb000",
    "#56b4e9",
    "#2fd08a",
    "#ff7a5c",
    "#e58fd0",
    "#f0e442",
    "#9aa8ff",
    "#7fe0e0",
    "#ff9ecb",
    "#c3e06b",
)
"""Told apart by most people with any colour vision, and readable with black letters on them."""
_FACE_COLOUR = "#ffffff"
_CAPTION_BACKGROUND, _CAPTION_INK = "#15181e", "#f2f4f8"
_ACTION_COLOURS = {"green": "#4fd178", "yellow": "#ffc94d", "red": "#ff7a70"}
_FORMATS = {".png", ".jpg", ".jpeg", ".webp"}

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Mark:
    """A box in pixels, its plate's words and colour."""

    box: Rectangle
    words: str
    colour: str
    points: tuple[tuple[float, float], ...] = ()


def annotate(picture: bytes, analysis: pb.ImageAnalysis, path: Path, *, colours: int = 0) -> None:
    """Draw what was found in a picture to a file.

    Args:
        picture: the file's bytes.
        analysis: what was found in it; its boxes are in parts of the picture as it is shown.
        path: PNG, JPEG or WebP to write, by its ending.
        colours: with a number from 2 to 256, so many colours at most: files of a fraction of the size.

    Raises:
        typer.BadParameter: Pillow is not there, the picture cannot be read, or the file cannot be written.
    """
    if path.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"cannot draw to {path}: the name must end in {', '.join(sorted(_FORMATS))}")
    drawn = draw(open_picture(picture), analysis)
    if colours:
        drawn = drawn.quantize(colours)
    try:
        drawn.save(path, optimize=True, quality=90)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot draw to {path}: {error}") from error


def open_picture(picture: bytes) -> Image:
    """Return a picture in RGB as it is shown, its orientation tag applied.

    Raises:
        typer.BadParameter: Pillow is not there, or this is no picture that it reads.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise typer.BadParameter("drawing needs Pillow: pip install 'marquee[vision]'") from error
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            turned = ImageOps.exif_transpose(opened)
            if turned.has_transparency_data:
                turned = turned.convert("RGBA")
                turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
            return turned.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise typer.BadParameter(f"cannot draw on the picture: {error}") from error


def draw(picture: Image, analysis: pb.ImageAnalysis) -> Image:
    """Return a picture with what was found drawn into it; small ones are enlarged, large ones made smaller."""
    from PIL import Image, ImageDraw, ImageFont

    longest = max(picture.size)
    scale = min(max(longest, _LEAST_SIDE), _MOST_SIDE) / longest
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    font = ImageFont.load_default(max(15.0, max(size) * _FONT_PART))
    marks = _marks(analysis, size)
    pen = ImageDraw.Draw(picture)
    width = max(2, round(max(size) / 320))
    for mark in marks:
        pen.rectangle(
            [value + side for value, side in zip(mark.box, (-1, -1, 1, 1), strict=True)], None, "black", width + 2
        )
        pen.rectangle(mark.box, None, mark.colour, width)
        for x, y in mark.points:
            pen.ellipse((x - width - 1, y - width - 1, x + width + 1, y + width + 1), mark.colour, "black")
    # Plates come last, so that no other object's box crosses their words.
    taken: list[Rectangle] = []
    for mark in marks:
        _draw_plate(pen, mark, font, size, taken)
    return _with_caption(picture, _caption(analysis), font)


def pixels(box: media_pb2.Box, width: float, height: float) -> Rectangle:
    """Return left, top, right and bottom of a box in a picture of this size."""
    left, right = sorted((box.left * width, box.right * width))
    top, bottom = sorted((box.top * height, box.bottom * height))
    return left, top, right, bottom


def _marks(analysis: pb.ImageAnalysis, size: tuple[int, int]) -> list[_Mark]:
    labels = list(dict.fromkeys(one.label for one in analysis.objects))
    marks = [
        _Mark(
            _inside(one.box, size),
            f"{printable(one.label)} {one.score:.0%}",
            _COLOURS[labels.index(one.label) % len(_COLOURS)],
        )
        for one in analysis.objects
    ]
    for face in analysis.faces:
        expression = f"{printable(face.expressions[0].label)} " if face.expressions else "face "
        score = face.expressions[0].probability if face.expressions else face.score
        points = tuple((point.x * size[0], point.y * size[1]) for point in face.landmarks)
        marks.append(_Mark(_inside(face.box, size), f"{expression}{score:.0%}", _FACE_COLOUR, points))
    # Large ones first: a small object's words then lie above the box around it.
    return sorted(marks, key=lambda mark: _area(mark.box), reverse=True)


def _inside(box: media_pb2.Box, size: tuple[int, int]) -> Rectangle:
    left, top, right, bottom = pixels(box, size[0] - 1, size[1] - 1)
    left, right = (min(max(value, 0.0), size[0] - 1.0) for value in (left, right))
    top, bottom = (min(max(value, 0.0), size[1] - 1.0) for value in (top, bottom))
    return left, top, right, bottom


def _area(box: Rectangle) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _draw_plate(pen: ImageDraw, mark: _Mark, font: Font, size: tuple[int, int], taken: list[Rectangle]) -> None:
    """Draw a mark's words above its box, or wherever near it no other words are."""
    left, top, right, bottom = pen.textbbox((0, 0), mark.words, font=font)
    margin = max(3, round((bottom - top) / 4))
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    box = mark.box
    places = [
        (x, y)
        for x in (box[0], box[2] - width)
        for y in (box[1] - height, box[1], box[3], box[3] - height, box[1] + height)
    ]
    plates = [_plate(x, y, width, height, size) for x, y in places]
    plate = min(plates, key=lambda one: (sum(_overlap(one, other) for other in taken), plates.index(one)))
    taken.append(plate)
    pen.rectangle(plate, mark.colour)
    pen.text((plate[0] + margin - left, plate[1] + margin - top), mark.words, fill="black", font=font)


def _plate(x: float, y: float, width: float, height: float, size: tuple[int, int]) -> Rectangle:
    x = min(max(x, 0.0), max(0.0, size[0] - width))
    y = min(max(y, 0.0), max(0.0, size[1] - height))
    return x, y, x + width, y + height


def _overlap(one: Rectangle, other: Rectangle) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)


def _caption(analysis: pb.ImageAnalysis) -> list[tuple[str, str]]:
    """Return (words, colour) of the lines below the picture."""
    lines = []
    if analysis.games:
        lines.append((_listed("game", analysis.games[:3]), _CAPTION_INK))
    if analysis.labels:
        lines.append((_listed("shows", analysis.labels[:4]), _CAPTION_INK))
    if analysis.HasField("decision"):
        decision = analysis.decision
        word, colour = ACTIONS.get(decision.action, ("not decided", "yellow"))
        known = decision.HasField("unsafe_probability")
        unsafe = f", not safe for work {decision.unsafe_probability:.0%}" if known else ""
        lines.append((f"{word}{unsafe}", _ACTION_COLOURS[colour]))
    return lines


def _listed(what: str, labels: Sequence[media_pb2.MediaLabel]) -> str:
    return f"{what}: " + ", ".join(f"{printable(one.label)} {one.probability:.0%}" for one in labels)


def _with_caption(picture: Image, lines: Sequence[tuple[str, str]], font: Font) -> Image:
    if not lines:
        return picture
    from PIL import Image, ImageDraw

    measure = ImageDraw.Draw(picture)
    broken = [(part, colour) for words, colour in lines for part in _broken(words, measure, font, picture.width)]
    height = round(1.5 * (measure.textbbox((0, 0), "Ág", font=font)[3]))
    whole = Image.new("RGB", (picture.width, picture.height + height * len(broken) + height // 2), _CAPTION_BACKGROUND)
    whole.paste(picture)
    pen = ImageDraw.Draw(whole)
    for number, (words, colour) in enumerate(broken):
        pen.text((height // 2, picture.height + height // 3 + number * height), words, fill=colour, font=font)
    return whole


def _broken(words: str, pen: ImageDraw, font: Font, width: int) -> list[str]:
    """Return words in lines that are no wider than the picture, where each word itself is not."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=font) > width - 2 * 20:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
