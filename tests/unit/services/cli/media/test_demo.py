"""`marquee demo clip`: the recording, and what is compared with the engine's count."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from marquee.common.v1 import media_pb2
from services.cli.failures import CommandFailed
from services.cli.media.demo import best_segment
from services.cli.media.recording import HEIGHT, WIDTH, Recording, record
from services.cli.media.story import ClipStory
from services.cli.media.truth import Agreement, agreements, cuts_found, print_agreement
from tests.unit.services.cli.conftest import Run

KILL, IDLE = media_pb2.GAMEPLAY_EVENT_KILL, media_pb2.GAMEPLAY_EVENT_IDLE


def story(kills: list[float]) -> ClipStory:
    made = ClipStory("clip")
    for second, probability in enumerate(kills):
        segment = media_pb2.VideoSegment(start_seconds=second, end_seconds=second + 1, highlight=probability)
        segment.events.add(event=KILL, probability=probability)
        made.segments.append(segment)
    made.cuts = [media_pb2.SceneCut(time_seconds=2.1), media_pb2.SceneCut(time_seconds=9)]
    return made


def test_what_was_found_is_compared_with_what_happened() -> None:
    made = story([0.9, 0.6, 0.2, 0.1])
    counted = {one.event: one for one in agreements(made, {0: {"kill"}, 2: {"kill", "idle"}})}
    assert counted["kill"] == Agreement("kill", real=2, found=2, right=1)
    assert counted["idle"] == Agreement("idle", real=1, found=0, right=0)
    assert cuts_found(made, [2.0, 5.0]) == 1
    assert agreements(ClipStory("nothing"), {0: {"kill"}}) == []


def test_the_comparison_is_printed_also_where_nothing_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    print_agreement(story([0.9, 0.1]), Recording(Path("clip.mp4"), [2.0], {0: {"kill"}}))
    print_agreement(ClipStory("nothing"), Recording(Path("clip.mp4"), [2.0], {0: {"kill"}}))
    said = capsys.readouterr().out
    assert "1 of 1 found, 2 said" in said
    assert "nothing to compare" in said


def test_the_second_with_most_objects_is_shown() -> None:
    made = story([0.9, 0.1, 0.2])
    made.segments[1].objects.add(label="imp", score=0.9)
    assert best_segment(made).start_seconds == 1
    assert best_segment(story([0.1, 0.8])).start_seconds == 1


def test_a_game_is_recorded_as_a_clip_that_can_be_sent_while_it_is_read(tmp_path: Path) -> None:
    pytest.importorskip("vizdoom")
    av = pytest.importorskip("av")
    watched: list[int] = []
    made = record(tmp_path / "clip.mp4", 2, seed=7, watch=lambda: watched.append(1))
    assert len(watched) == 2
    assert set(made.truth) == {0, 1}
    assert made.cuts == []
    assert b"moof" in made.path.read_bytes(), "fragmented"
    with av.open(str(made.path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert sum(1 for _ in container.decode(stream)) == 35


def test_without_the_game_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(CommandFailed, match="vizdoom"):
        record(tmp_path / "clip.mp4", 5, seed=7)
    result = run("demo", "clip", "--output", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "pip install 'marquee[gameplay,video]'" in result.output
    assert not list((tmp_path / "out").iterdir())


def test_help_teaches_by_example(run: Run) -> None:
    for words in (["demo"], ["demo", "clip"], ["analyze", "image"], ["analyze", "clip"]):
        result = run(*words, "--help")
        assert result.exit_code == 0
        assert f"marquee {' '.join(words)}" in " ".join(result.output.split())
