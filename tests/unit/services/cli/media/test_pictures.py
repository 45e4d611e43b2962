"""Pictures with boxes, and timelines, of anything that may come back."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from PIL import Image

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import media_service_pb2 as pb
from services.cli.media.drawing import annotate, draw, open_picture
from services.cli.media.report import clock
from services.cli.media.story import ClipStory
from services.cli.media.timeline import draw_timeline
from services.cli.media.timeline_rows import columns, rows
from tests.unit.services.cli.media.conftest import picture_bytes


def analysis() -> pb.ImageAnalysis:
    made = pb.ImageAnalysis(width=64, height=48)
    made.objects.add(label="imp", score=0.9, box=media_pb2.Box(left=0.1, top=0.1, right=0.9, bottom=0.9))
    made.objects.add(label="a name\x1b[31m much longer than the box", score=0.6, box=media_pb2.Box(left=0.99, right=1))
    face = made.faces.add(score=0.8, box=media_pb2.Box(left=0.2, top=0.2, right=0.4, bottom=0.5))
    face.landmarks.add(x=0.3, y=0.3)
    face.expressions.add(label="happy", probability=0.7)
    made.labels.add(label="scoreboard", probability=0.6)
    return made


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (16, 3_000), (3_000, 40)])
def test_boxes_and_words_fit_pictures_of_any_size(size: tuple[int, int]) -> None:
    drawn = draw(Image.new("RGB", size, "navy"), analysis())
    assert 800 <= max(drawn.size) <= 2_400, "the caption adds to the height"


def test_a_box_is_drawn_where_the_object_is() -> None:
    made = pb.ImageAnalysis()
    made.objects.add(label="imp", score=0.9, box=media_pb2.Box(left=0.5, top=0.25, right=0.75, bottom=0.75))
    drawn = draw(Image.new("RGB", (800, 400), "navy"), made)
    assert drawn.size == (800, 400), "nothing is said below it"
    navy = (0, 0, 128)
    assert drawn.getpixel((500, 200)) == navy, "inside"
    assert drawn.getpixel((300, 200)) == navy, "outside"
    assert drawn.getpixel((400, 250)) != navy, "its left edge"


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_pictures_are_written_by_their_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"drawn.{ending}"
    annotate(picture_bytes(), analysis(), path, colours=0)
    with Image.open(path) as drawn:
        assert drawn.format in ("PNG", "JPEG", "WEBP")


def test_see_through_and_turned_pictures_are_drawn_as_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    Image.new("RGBA", (60, 20), (0, 0, 0, 0)).save(path, exif=exif)
    opened = open_picture(path.read_bytes())
    assert opened.size == (20, 60)
    assert opened.getpixel((5, 5)) == (255, 255, 255)
    with pytest.raises(typer.BadParameter, match="cannot draw on the picture"):
        open_picture(b"no picture")


def test_a_timeline_is_drawn_of_whatever_was_analysed(tmp_path: Path) -> None:
    only_objects = ClipStory("clip")
    for second in range(3):
        segment = media_pb2.VideoSegment(start_seconds=second, end_seconds=second + 1)
        segment.objects.add(label="$imp$", score=0.5)
        only_objects.segments.append(segment)
    only_objects.problems.append(media_pb2.VideoProblem(time_seconds=1, reason="VIDEO_CORRUPT"))
    nothing = ClipStory("clip", segments=[media_pb2.VideoSegment(start_seconds=7, end_seconds=7.4)])
    for name, story in (("objects.png", only_objects), ("nothing.svg", nothing)):
        draw_timeline(story, tmp_path / name, colours=256)
        assert (tmp_path / name).stat().st_size > 3_000
    with pytest.raises(typer.BadParameter, match="cannot draw to"):
        draw_timeline(nothing, tmp_path / "no" / "folder.png")


def test_a_long_clip_keeps_its_highest_seconds() -> None:
    story = ClipStory("match")
    for second in range(7_200):
        segment = media_pb2.VideoSegment(start_seconds=second, end_seconds=second + 1)
        segment.events.add(event=media_pb2.GAMEPLAY_EVENT_KILL, probability=0.9 if second == 5_001 else 0.1)
        story.segments.append(segment)
    row = next(row for row in rows(story) if row.name == "kill")
    cells = columns(story, row.values)
    assert len(cells) <= 1_000
    assert max(cells) == pytest.approx(0.9)


def test_times_are_written_as_people_read_them() -> None:
    assert [clock(seconds) for seconds in (0, 59.4, 61, 3_725)] == ["0:00", "0:59", "1:01", "1:02:05"]
