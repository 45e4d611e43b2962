"""`marquee analyze clip`: what happens in a clip, second by second, while it is sent."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from google.protobuf import json_format
from rich.markup import escape

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee_client import ClipWishes
from services.cli.connection import connected
from services.cli.console import Stage, output, stage
from services.cli.media.checkpoint import INTERVAL_SECONDS, CheckpointFile
from services.cli.media.clip_report import print_clip
from services.cli.media.features import (
    CLIP_FEATURES,
    Attach,
    LabelCount,
    MinimumScore,
    Policy,
    attachment,
    parse_features,
    picture_path,
)
from services.cli.media.story import ClipStory
from services.cli.media.timeline import draw_timeline
from services.cli.settings import TargetOption
from services.cli.signals import stop_signals_as_interrupts

EPILOG = f"""
[bold]Examples[/]

  marquee analyze clip match.mp4                        [dim]# writes match.timeline.png here[/]

  marquee analyze clip match.mp4 --features events,highlights,scene-cuts --highlights 10

  ffmpeg -i rtmp://... -c copy -f matroska - | marquee analyze clip -        [dim]# while it is played[/]

  marquee analyze clip match.mp4 --checkpoint-file match.state               [dim]# and if it breaks:[/]

  marquee analyze clip match.mp4 --checkpoint-file match.state --resume

  marquee analyze clip match.mp4 --json-lines | jq -c 'select(.segment).segment.events'

[dim]Features: {", ".join(CLIP_FEATURES)}. Without --features all but faces, for which the operator must have allowed
your tenant (docs/vision.md). Fragmented MP4, WebM, Matroska and MPEG-TS are analysed while they are sent, other MP4
after its upload. With --json-lines nothing is drawn unless --output is there.[/]
"""
LONGEST_SECONDS = 6 * 3600.0
"""How long a clip may be on its way: a pipe may bring a live match."""
_INTERRUPTED = 130


def clip(
    file: Annotated[Path, typer.Argument(help="Clip; - reads standard input.", dir_okay=False, allow_dash=True)],
    features: Annotated[
        str, typer.Option(help="What to say, separated by commas; else all but faces.", show_default=False)
    ] = "",
    draw_to: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Timeline to draw (PNG or SVG); else NAME.timeline.png here.", show_default=False
        ),
    ] = None,
    attach: Attach = "",
    policy: Policy = "",
    labels: LabelCount = 0,
    minimum_score: MinimumScore = None,
    highlights: Annotated[int, typer.Option(min=0, max=50, help="Highlights wanted; 0 means 5.")] = 0,
    sample_interval: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds between the frames that picture models see; 0 means 1.")
    ] = 0.0,
    checkpoint_file: Annotated[
        Path | None,
        typer.Option(help="File that remembers how far it is; removed at the end.", dir_okay=False, show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint file.")] = False,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Print each answer as a line of JSON, as soon as it comes.")
    ] = False,
    target: TargetOption = None,
) -> None:
    """Say what happens in a clip, find its highlights, and draw its timeline."""
    if str(file) != "-" and not file.is_file():
        raise typer.BadParameter(f"{file} {'is a directory' if file.is_dir() else 'does not exist'}")
    remembered = _checkpoint(checkpoint_file, file, resume)
    wanted = parse_features(features, CLIP_FEATURES)
    wishes: ClipWishes = {
        "label_count": labels,
        "policy": policy,
        "sample_interval_seconds": sample_interval,
        "checkpoint_interval_seconds": INTERVAL_SECONDS if remembered else 0.0,
        "checkpoint": remembered.read() if remembered and resume else b"",
        "highlight_count": highlights,
    }
    if minimum_score is not None:
        wishes["minimum_object_score"] = minimum_score
    is_pipe = str(file) == "-"
    path = None if json_lines and draw_to is None else picture_path(draw_to, Path() if is_pipe else file, "timeline")
    story = ClipStory("standard input" if is_pipe else file.name, None if is_pipe else file)
    with stop_signals_as_interrupts(), connected(target) as client, _opened(file) as content:
        try:
            answers = client.analyze_clip(
                content, features=wanted, attach=attachment(attach), timeout=LONGEST_SECONDS, **wishes
            )
            seconds = follow(answers, story, remembered, _say_json if json_lines else None)
        except KeyboardInterrupt:
            _say_stopped(story, remembered, quiet=json_lines)
            raise typer.Exit(_INTERRUPTED) from None
    if remembered is not None and story.summary is not None:
        remembered.forget()
    if not json_lines:
        print_clip(story, seconds, attach)
    if path is not None and story.segments:
        draw_timeline(story, path)
        if not json_lines:
            output.print(f"drawn to {escape(str(path))}")


def follow(
    answers: Iterator[pb.AnalyzeClipResponse],
    story: ClipStory,
    remembered: CheckpointFile | None = None,
    say: Callable[[pb.AnalyzeClipResponse], None] | None = None,
) -> float:
    """Take a clip's answers in, under a progress display; return how long that took, in seconds.

    Args:
        answers: what comes back while the clip is sent.
        story: what came back goes here.
        remembered: where checkpoints go.
        say: gets each answer in place of the progress display.
    """
    begin = time.monotonic()
    if say is not None:
        for answer in answers:
            _take(answer, story, remembered)
            say(answer)
    else:
        with stage(f"Analysing {story.name}, seconds", 0) as work:
            for answer in answers:
                _take(answer, story, remembered)
                _show(work, answer, story, time.monotonic() - begin)
    return time.monotonic() - begin


def speed(story: ClipStory, seconds: float) -> str:
    """Say how fast a clip was analysed."""
    return f"{(story.end - story.info.start_seconds) / max(seconds, 1e-6):.1f} × real time"


def _take(answer: pb.AnalyzeClipResponse, story: ClipStory, remembered: CheckpointFile | None) -> None:
    story.add(answer)
    if remembered is not None and answer.HasField("checkpoint"):
        remembered.write(answer.checkpoint)


def _show(work: Stage, answer: pb.AnalyzeClipResponse, story: ClipStory, seconds: float) -> None:
    if answer.HasField("info"):
        if answer.info.duration_seconds:
            work.expect(max(1, round(answer.info.duration_seconds - answer.info.start_seconds)))
        if answer.info.detail:
            output.print(f"[dim]{escape(answer.info.detail)}[/]")
    elif answer.HasField("segment"):
        work.advance(round(story.end - story.info.start_seconds) - work.done)
        work.say(speed(story, seconds))
        work.note = speed(story, seconds)


def _checkpoint(path: Path | None, file: Path, resume: bool) -> CheckpointFile | None:
    if path is None:
        if resume:
            raise typer.BadParameter("--resume goes with --checkpoint-file, which says from where")
        return None
    if str(file) == "-":
        raise typer.BadParameter("--checkpoint-file needs a file that can be sent again, not standard input")
    if path.exists() and path.samefile(file):
        raise typer.BadParameter(f"--checkpoint-file: {path} is the clip itself")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"--checkpoint-file: there is no folder {path.parent}")
    return CheckpointFile(path, file)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        # Without Python's buffer: what a live source sends goes on at once, and a read that still waits on its thread
        # holds no lock that the end of the process would stumble over.
        yield getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        return
    with file.open("rb") as content:
        yield content


def _say_json(answer: pb.AnalyzeClipResponse) -> None:
    typer.echo(json_format.MessageToJson(answer, preserving_proto_field_name=True, indent=None))
    sys.stdout.flush()


def _say_stopped(story: ClipStory, remembered: CheckpointFile | None, *, quiet: bool) -> None:
    if quiet:
        return
    output.print(f"Stopped after {story.end - story.info.start_seconds:.0f} s of the clip; the mesh stopped too.")
    if remembered is not None and remembered.path.exists():
        output.print(f"Go on with --checkpoint-file {escape(str(remembered.path))} --resume.")
