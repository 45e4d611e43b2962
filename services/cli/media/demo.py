"""`marquee demo clip`: a game is recorded, analysed, drawn, and what was found compared with the engine's count."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from marquee.common.v1.media_pb2 import VideoSegment
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee_client import MarqueeClient
from services.cli.channels import local_tls
from services.cli.connection import connected
from services.cli.console import output, stage
from services.cli.local_mesh import LocalMesh
from services.cli.media.clip import LONGEST_SECONDS, follow
from services.cli.media.clip_report import print_clip
from services.cli.media.drawing import annotate
from services.cli.media.frames import frames_at
from services.cli.media.image import print_image
from services.cli.media.recording import Recording, record
from services.cli.media.story import ClipStory
from services.cli.media.timeline import draw_timeline
from services.cli.media.truth import print_agreement
from services.cli.settings import TargetOption
from services.cli.signals import stop_signals_as_interrupts
from services.cli.up import Data, show_start
from services.runtime.sources import DataSettings

EPILOG = """
[bold]Examples[/]

  marquee demo clip                               [dim]# a minute of Freedoom, on a mesh of its own[/]

  marquee demo clip --seconds 120 --seed 3 --output /tmp/clip

  marquee demo clip --target 127.0.0.1:50060      [dim]# on a mesh that runs already; its catalogue is not touched[/]

[dim]A script plays Freedoom in ViZDoom, with seeds that no model was fitted on. The folder gets gameplay.mp4,
timeline.png, frame.png and annotated.png. Needs the extras gameplay, video, load and vision; `make demo` has them.[/]
"""
_COLOURS = 256
"""A README's pictures have to be small."""
_ITEM = Item(
    item_id="freedoom",
    title="Freedoom",
    description="A free first-person shooter: marines against monsters in bases and caves.",
    tags=["Game"],
    release_year=2024,
)
_IMAGE_FEATURES = (
    pb.MEDIA_FEATURE_LABELS,
    pb.MEDIA_FEATURE_GAME,
    pb.MEDIA_FEATURE_OBJECTS,
    pb.MEDIA_FEATURE_SAFETY,
)
_INTERRUPTED = 130
_PATIENCE_SECONDS = 60.0


def clip(
    seconds: Annotated[int, typer.Option(min=5, max=600, help="Length of the recording.")] = 60,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for clip and pictures; else gameplay/ in the data folder.", file_okay=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=9_999, help="Decides what is played.")] = 7,
    data: Data = None,
    target: TargetOption = None,
) -> None:
    """Record a game, find its events and highlights, draw them, and compare with what really happened."""
    data = data or DataSettings().data_directory
    folder = folder or data / "gameplay"
    folder.mkdir(parents=True, exist_ok=True)
    with stop_signals_as_interrupts():
        try:
            output.rule("[bold]A script plays Freedoom", align="left")
            with stage(f"Recording {seconds} s, seconds", seconds) as work:
                recording = record(folder / "gameplay.mp4", seconds, seed, work.advance)
                work.note = f"{recording.path.stat().st_size / 1e6:.1f} MB"
            with _mesh(target, data) as client:
                _tell(client, recording, folder, attach="" if target else _ITEM.item_id)
        except KeyboardInterrupt:
            output.print("Stopped; no process is left.")
            raise typer.Exit(_INTERRUPTED) from None
    _say_what_next(folder)


@contextmanager
def _mesh(target: str | None, data: Path) -> Iterator[MarqueeClient]:
    """Reach a mesh that runs, or start one with an empty store of its own."""
    if target:
        with connected(target) as client:
            yield client
        return
    with LocalMesh(data / "demo-clip", 0, fresh=True) as mesh:
        output.rule("[bold]Four services start", align="left")
        show_start(mesh)
        tls = local_tls("orchestrator", os.environ)
        with MarqueeClient(mesh.addresses["orchestrator"], timeout=_PATIENCE_SECONDS, tls=tls) as client:
            client.upsert_items([_ITEM])
            yield client


def _tell(client: MarqueeClient, recording: Recording, folder: Path, attach: str) -> None:
    output.rule("[bold]The clip is analysed while it is sent", align="left")
    story = ClipStory(recording.path.name, recording.path, truth=recording.truth)
    wish = pb.MediaAttachment(item_id=attach) if attach else None
    with recording.path.open("rb") as content:
        took = follow(client.analyze_clip(content, attach=wish, timeout=LONGEST_SECONDS), story)
    print_clip(story, took, attach)
    output.rule("[bold]Is it true?", align="left")
    print_agreement(story, recording)
    if not story.segments:
        return
    with stage("Drawing the timeline"):
        draw_timeline(story, folder / "timeline.png", colours=_COLOURS)
    segment = best_segment(story)
    (frame,) = frames_at(recording.path, [segment.sample_seconds or segment.start_seconds])
    if frame is None:
        return
    output.rule("[bold]One frame of it", align="left")
    file = io.BytesIO()
    frame.save(file, "PNG")
    (folder / "frame.png").write_bytes(file.getvalue())
    response = client.analyze_image(file.getvalue(), features=_IMAGE_FEATURES, timeout=_PATIENCE_SECONDS)
    print_image("frame.png", response)
    annotate(file.getvalue(), response.analysis, folder / "annotated.png", colours=_COLOURS)


def best_segment(story: ClipStory) -> VideoSegment:
    """Return the second in which most can be seen: objects by their scores, then how worth clipping it is."""
    return max(story.segments, key=lambda one: (sum(each.score for each in one.objects), one.highlight))


def _say_what_next(folder: Path) -> None:
    output.rule("[bold]Next", align="left")
    shown = escape(str(folder.relative_to(Path.cwd()) if Path.cwd() in folder.parents else folder))
    output.print(
        f"Look at [bold]{shown}/timeline.png[/] and [bold]{shown}/annotated.png[/]. Then start a mesh and ask it:"
    )
    for command, meaning in (
        ("up", "the four services, until Ctrl-C"),
        (f"analyze clip {shown}/gameplay.mp4", "the same clip again, or one of yours"),
        (f"analyze image {shown}/frame.png", "a picture"),
        ("analyze clip --help", "checkpoints, pipes, JSON lines"),
    ):
        output.print(f"  [bold]marquee {command}[/]  [dim]# {meaning}[/]")
