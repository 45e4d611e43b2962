"""`marquee analyze clip` against a server that answers from a script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from services.cli.media.frames import frames_at
from tests.unit.services.cli.conftest import Run
from tests.unit.services.cli.media.conftest import ScriptedMedia

ROOT = Path(__file__).parents[5]
PATHS = os.pathsep.join(str(ROOT / one) for one in (".", "protos/python", "services/client"))


def test_a_clip_is_sent_printed_and_drawn(media: ScriptedMedia, run: Run, clip: Path) -> None:
    result = run("analyze", "clip", str(clip), "--attach", "50", "--highlights", "3")
    assert result.exit_code == 0, result.output
    for words in ("two kills within $5 [b]seconds[/]", "0:01–0:03", "Scene cuts", "doom", "kill 2", "× real time"):
        assert words in result.output
    assert "without faces" in result.output
    assert "attached to 50" in result.output
    assert media.received == clip.stat().st_size
    assert (media.starts[0].attach.item_id, media.starts[0].highlight_count) == ("50", 3)
    assert Path("match.timeline.png").stat().st_size > 10_000


def test_answers_are_lines_of_json_for_programs(media: ScriptedMedia, run: Run, clip: Path) -> None:
    result = run("analyze", "clip", str(clip), "--json-lines")
    kinds = [next(iter(json.loads(line))) for line in result.output.splitlines()]
    assert kinds == ["info", *["segment"] * 4, "scene_cut", "summary"]
    assert not Path("match.timeline.png").exists()


def test_a_clip_comes_through_a_pipe(media: ScriptedMedia, run: Run, clip: Path) -> None:
    result = run("analyze", "clip", "-", stdin=clip.read_bytes())
    assert result.exit_code == 0, result.output
    assert media.received == clip.stat().st_size
    assert Path("clip.timeline.png").exists()


def test_a_broken_analysis_goes_on_from_its_checkpoint(media: ScriptedMedia, run: Run, clip: Path) -> None:
    state = Path("match.state")
    state.write_text(json.dumps({"clip": "match.mp4", "bytes": clip.stat().st_size, "sealed_state": "c2VhbGVk"}))
    result = run("analyze", "clip", str(clip), "--checkpoint-file", str(state), "--resume")
    assert result.exit_code == 0, result.output
    assert media.starts[0].checkpoint == b"sealed"
    assert media.starts[0].checkpoint_interval_seconds > 0
    assert not state.exists(), "the clip is done"
    state.write_text(json.dumps({"clip": "other.mp4", "bytes": 5, "sealed_state": "c2VhbGVk"}))
    refused = run("analyze", "clip", str(clip), "--checkpoint-file", str(state), "--resume")
    assert refused.exit_code == 2
    assert "belongs to other.mp4" in " ".join(refused.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.mp4"], "does not exist"),
        (["."], "is a directory"),
        (["match.mp4", "--output", "match.mp4"], "is the file that is analysed"),
        (["match.mp4", "--features", "smell"], "'smell' is none of"),
        (["match.mp4", "--resume"], "goes with --checkpoint-file"),
        (["match.mp4", "--checkpoint-file", "state", "--resume"], "there is no state"),
        (["match.mp4", "--checkpoint-file", "match.mp4"], "is the clip itself"),
        (["-", "--checkpoint-file", "state"], "can be sent again"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_sent(
    media: ScriptedMedia, run: Run, clip: Path, words: list[str], said: str
) -> None:
    result = run("analyze", "clip", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
    assert not media.starts


def test_a_clip_without_a_video_track_is_the_servers_to_refuse(media: ScriptedMedia, run: Run, clip: Path) -> None:
    media.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "chunk: the file has no video track")
    result = run("analyze", "clip", str(clip))
    assert result.exit_code == 2
    assert "the file has no video track" in result.output


def test_a_server_that_is_not_there_is_said(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_TARGET", "127.0.0.1:1")
    result = run("analyze", "clip", str(clip))
    assert result.exit_code == 3
    assert "marquee up" in result.output


def test_an_interrupt_stops_the_work_on_both_sides(media: ScriptedMedia, clip: Path) -> None:
    media.waits = True
    command = [sys.executable, "-m", "services.cli.main", "analyze", "clip", str(clip), "--checkpoint-file", "state"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": PATHS})
    state = Path("state")
    try:
        deadline = time.monotonic() + 60
        while not (state.exists() and json.loads(state.read_text())["next_seconds"] == 4):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Stopped after 4 s" in output
    assert "--resume" in output
    assert media.cancelled.wait(20)


def test_an_interrupt_while_a_pipe_says_nothing_ends_the_command(media: ScriptedMedia, clip: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli.main", "analyze", "clip", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": PATHS},
    )
    assert process.stdin is not None
    try:
        process.stdin.write(clip.read_bytes())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while media.received < clip.stat().st_size:  # what is there goes on at once
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout is not None
        assert b"Stopped after 0 s" in process.stdout.read()
        assert process.stderr is not None
        assert b"rror" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_frames_are_those_of_their_times(clip: Path, tmp_path: Path) -> None:
    frames = frames_at(clip, [0.5, 2.5, 1.5])
    reds = [frame.getpixel((32, 24))[0] for frame in frames if frame is not None]  # type: ignore[index]
    assert len(reds) == 3
    assert reds[0] < reds[2] < reds[1]
    no_clip = tmp_path / "no-clip.mp4"
    no_clip.write_bytes(b"nothing")
    assert frames_at(no_clip, [0.0]) == [None]
    assert frames_at(None, [0.0, 1.0]) == [None, None]
