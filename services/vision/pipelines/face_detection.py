"""Pictures to faces: where they are, where their eyes, nose and mouth are, and the squares that say what they show.

The network is CenterFace (Xu et al. 2019, arXiv 1911.03599): each cell of a map at a quarter of the resolution says how
probably a face is centred there, how large it is and where its points are. Overlapping answers are left out by greedy
non-maximum suppression, as its authors do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy
import numpy.typing

from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.face_crop import grey_square
from services.vision.pipelines.image_decoding import DecodedPicture, ImageLimits
from services.vision.pipelines.picture import reshape
from services.vision.pipelines.picture_pipeline import Floats, Outputs, Pixels
from services.vision.pipelines.picture_request import Picture, read_picture
from services.vision.pipelines.picture_shape import BoundedSides, shape_of

TASK = "face-detection"
DEFAULT_SCORE = 0.5
"""The detector's own least score: the one of its authors' demonstration."""
DEFAULT_FACES, MAXIMUM_FACES = 50, 300
POINTS = 5
"""Left eye, right eye, nose, left and right corner of the mouth, as seen."""

# A face lights up four to nine cells, so this many cells hold more than a hundred faces.
CELLS = 1_024
_STRIDE = 4
_LARGEST_OVERLAP = 0.3
# Boxes of cells that show no face may be of any size; this bound keeps them finite.
_LARGEST_EXPONENT = 8.0
# A face that is cut out for its expression should have its pixels: those of a large picture, not of the reduced one.
_SIDE_FOR_CROPS = 1_280


@dataclass(frozen=True)
class FaceQuery:
    """What to look for.

    Attributes:
        pictures: where.
        minimum_score: least score of a face, included, 0 to 1.
        count: faces of a picture at most.
        crop_side: height and width of the square cut out for each face; 0 cuts out none.
    """

    pictures: Sequence[Picture]
    minimum_score: float = DEFAULT_SCORE
    count: int = DEFAULT_FACES
    crop_side: int = 0


@dataclass(frozen=True)
class PictureFaces:
    """The faces of one picture, surest first.

    Attributes:
        scores: float32[N], 0 to 1.
        boxes: float32[N, 4], left, top, right and bottom in parts of the picture as shown.
        points: float32[N, POINTS, 2], x and y in parts of the picture; a point may lie outside of it.
        crops: uint8[N, side, side], the grey square around each face; empty when none was asked for.
        width: columns of the picture as shown.
        height: rows of the picture as shown.
    """

    scores: Floats
    boxes: Floats
    points: Floats
    crops: Pixels
    width: int
    height: int


@dataclass(frozen=True)
class _Frame:
    """The size that the network saw a picture in, and the picture itself, larger when faces are to be cut out."""

    columns: int
    rows: int
    picture: DecodedPicture


class FaceDetectionPipeline(Pipeline[FaceQuery, Pixels, Outputs, list[PictureFaces]]):
    """One face detection network. Pictures keep their proportions and lie in the upper left corner of a black canvas
    whose sides are multiples of `limits.step`, so that pictures of about the same size may share a run.
    """

    def __init__(self, model: LoadedModel, limits: ImageLimits) -> None:
        manifest = model.manifest
        self.placement = manifest.placement.placement()
        self.max_batch = manifest.batching.max_batch
        self.cost_unit = manifest.batching.cost_unit
        self._model = model
        self._limits = limits
        self._shape = shape_of(manifest.limits)
        self._step = manifest.limits["step"]
        if (self._step // _STRIDE) ** 2 < CELLS:
            raise ValueError(f"a canvas of {self._step} pixels has less than {CELLS} cells")

    def prepare(self, request: FaceQuery) -> Prepared[Pixels]:
        """Read the pictures and put them on canvases; one that cannot be used is named by its field."""
        frames, canvases = [], []
        for index, picture in enumerate(request.pictures):
            first_shape = BoundedSides(_SIDE_FOR_CROPS) if request.crop_side else self._shape
            read = read_picture(index, picture, self._limits, first_shape)
            seen = reshape(read, self._shape) if request.crop_side else read
            frames.append(_Frame(seen.pixels.shape[1], seen.pixels.shape[0], read))
            canvases.append(self._canvas(seen.pixels))
        batches = []
        for _, alike in groupby(canvases, key=lambda canvas: canvas.shape):
            stack = list(alike)
            batches += [
                numpy.stack(stack[start : start + self.max_batch]) for start in range(0, len(stack), self.max_batch)
            ]
        sizes = [Size(len(batch), batch.size // batch.shape[-1], batch.shape[1:]) for batch in batches]
        return Prepared(batches, sum(size.cost for size in sizes), (request, frames), sizes)

    def run(self, batch: Pixels) -> Outputs:
        """Run the network once: scores float32[B, CELLS], boxes [B, CELLS, 4] and points [B, CELLS, POINTS, 2] in
        pixels of the canvas, best cell first.
        """
        found = self._model.onnx.run({"pixels": batch})
        maps = [found[name].astype(numpy.float32, copy=False) for name in ("heatmap", "sizes", "offsets", "points")]
        rows = [decode_cells(*(values[row] for values in maps)) for row in range(len(batch))]
        return tuple(numpy.stack(parts) for parts in zip(*rows, strict=True))

    def finish(self, prepared: Prepared[Pixels], outputs: Sequence[Outputs]) -> list[PictureFaces]:
        """Leave out weak and overlapping answers, and cut out the squares."""
        assert isinstance(prepared.state, tuple)
        query, frames = prepared.state
        rows = [row for output in outputs for row in zip(*output, strict=True)]
        return [_faces_of(frame, query, *row) for frame, row in zip(frames, rows, strict=True)]

    def join(self, batches: Sequence[Pixels]) -> Pixels:
        """Put pictures of several requests into one run."""
        return numpy.concatenate(batches)

    def split(self, output: Outputs, batches: Sequence[Pixels]) -> Sequence[Outputs]:
        """Return each batch's rows."""
        parts, row = [], 0
        for batch in batches:
            end = row + len(batch)
            parts.append(tuple(values[row:end] for values in output))
            row = end
        return parts

    def _canvas(self, pixels: Pixels) -> Pixels:
        rows, columns = pixels.shape[:2]
        height, width = (-(-side // self._step) * self._step for side in (rows, columns))
        canvas = numpy.zeros((height, width, 3), numpy.uint8)
        canvas[:rows, :columns] = pixels
        return canvas


def decode_cells(heatmap: Floats, sizes: Floats, offsets: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Read the best `CELLS` cells of one picture's maps.

    Args:
        heatmap: float32[1, h, w], how probably a face is centred in the cell.
        sizes: float32[2, h, w], logarithms of height and width in cells.
        offsets: float32[2, h, w], where in the cell the centre is, y and x.
        points: float32[2 * POINTS, h, w], y and x of each point in heights and widths from the upper left corner.

    Returns:
        Scores float32[CELLS] that do not rise, boxes float32[CELLS, 4], points float32[CELLS, POINTS, 2], in pixels.
    """
    heat = heatmap.ravel()
    best = numpy.sort(numpy.argpartition(-heat, CELLS - 1)[:CELLS])
    best = best[numpy.argsort(-heat[best], kind="stable")]
    row, column = numpy.divmod(best, heatmap.shape[-1])
    height, width = numpy.exp(numpy.minimum(sizes.reshape(2, -1)[:, best], _LARGEST_EXPONENT)) * _STRIDE
    down, right = offsets.reshape(2, -1)[:, best]
    top = (row + down + 0.5) * _STRIDE - height / 2
    left = (column + right + 0.5) * _STRIDE - width / 2
    places = points.reshape(POINTS, 2, -1)[:, :, best]
    at = numpy.stack([places[:, 1] * width + left, places[:, 0] * height + top], axis=-1).transpose(1, 0, 2)
    boxes = numpy.stack([left, top, left + width, top + height], axis=1)
    return heat[best], boxes.astype(numpy.float32), at.astype(numpy.float32)


def without_overlaps(boxes: Floats) -> list[int]:
    """Return which of float32[N, 4] boxes, best first, stay when each leaves out later ones that overlap it by 0.3 of
    their union or more.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = numpy.arange(len(boxes))
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        corners = numpy.maximum(boxes[best, :2], boxes[left, :2]), numpy.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = numpy.maximum(corners[1] - corners[0], 0).prod(axis=1)
        left = left[shared < _LARGEST_OVERLAP * (areas[best] + areas[left] - shared)]
    return kept


def _faces_of(frame: _Frame, query: FaceQuery, scores: Floats, boxes: Floats, points: Floats) -> PictureFaces:
    size = numpy.array([frame.columns, frame.rows], numpy.float32)
    inside = numpy.clip(boxes, 0, numpy.tile(size, 2))
    # The request's number is a float32 as the scores are, so that a score is never below itself.
    sure = (scores >= numpy.float32(query.minimum_score)) & ((inside[:, 2:] - inside[:, :2]).min(axis=1) >= 1)
    scores, inside, points = scores[sure], inside[sure], points[sure]
    kept = without_overlaps(inside)[: query.count]
    parts = inside[kept] / numpy.tile(size, 2)
    side = query.crop_side
    crops = [grey_square(frame.picture.pixels, box, side) for box in parts] if side else []
    return PictureFaces(
        scores[kept],
        parts,
        points[kept] / size,
        numpy.stack(crops) if crops else numpy.zeros((0, side, side), numpy.uint8),
        frame.picture.width,
        frame.picture.height,
    )
