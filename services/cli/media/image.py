"""`marquee analyze image`: what a picture shows, whether it may be shown, and the picture with boxes drawn into it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from marquee.common.v1.media_pb2 import Box
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee_client import MediaWishes
from services.cli.connection import connected
from services.cli.console import output, stage
from services.cli.media.drawing import annotate, pixels
from services.cli.media.features import (
    IMAGE_FEATURES,
    Attach,
    LabelCount,
    MinimumScore,
    Policy,
    attachment,
    parse_features,
    picture_path,
)
from services.cli.media.report import (
    print_attachment,
    print_decision,
    print_failures,
    print_labels,
    print_similar,
    text,
)
from services.cli.recommend import AsJson
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled

EPILOG = f"""
[bold]Examples[/]

  marquee analyze image screenshot.png                [dim]# writes screenshot.annotated.png here[/]

  marquee analyze image photo.jpg --features labels,objects --output boxes.webp

  marquee analyze image cover.jpg --attach 50         [dim]# item 50 now has this picture's vector and labels[/]

  marquee analyze image cover.jpg --policy kids --json | jq .analysis.decision

[dim]Features: {", ".join(IMAGE_FEATURES)}. Without --features all but faces, for which the operator must have allowed
your tenant (docs/vision.md). JPEG, PNG or WebP, up to 8 MiB. With --json nothing is drawn unless --output is there.[/]
"""
_MOST_BYTES = 60 << 20
"""What a call can carry at all; the server's own limit is lower, and it says which."""


def image(
    file: Annotated[Path, typer.Argument(help="Picture: JPEG, PNG or WebP.", exists=True, dir_okay=False)],
    features: Annotated[
        str, typer.Option(help="What to say, separated by commas; else all but faces.", show_default=False)
    ] = "",
    draw_to: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Picture to draw; else NAME.annotated.png here.", show_default=False),
    ] = None,
    attach: Attach = "",
    policy: Policy = "",
    labels: LabelCount = 0,
    minimum_score: MinimumScore = None,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Say what a picture shows, and draw it with what was found."""
    picture = read_picture(file)
    wanted = parse_features(features, IMAGE_FEATURES)
    wishes: MediaWishes = {"label_count": labels, "policy": policy}
    if minimum_score is not None:
        wishes["minimum_object_score"] = minimum_score
    path = None if as_json and draw_to is None else picture_path(draw_to, file, "annotated")
    with connected(target) as client, nullcontext() if as_json else stage(f"Looking at {file.name}") as work:
        response = client.analyze_image(picture, features=wanted, attach=attachment(attach), **wishes)
        if work is not None:
            work.note = "; ".join(f"{step.step} {step.milliseconds:.0f} ms" for step in response.steps)
    if path is not None:
        annotate(picture, response.analysis, path)
    if as_json:
        typer.echo(json_format.MessageToJson(response, preserving_proto_field_name=True))
        return
    print_image(file.name, response, attach)
    output.print(f"drawn to {escape(str(path))}")


def read_picture(file: Path) -> bytes:
    """Return a picture file's bytes.

    Raises:
        typer.BadParameter: it is too large to be sent.
    """
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise typer.BadParameter(f"{file} has {size / 1e6:,.0f} MB; a picture may have 8 MiB")
    return file.read_bytes()


def print_image(name: str, response: pb.AnalyzeImageResponse, attached_to: str = "") -> None:
    """Print everything that was said of a picture."""
    analysis = response.analysis
    size = f"{analysis.width} × {analysis.height} pixels" if analysis.width else ""
    output.print(f"[bold]{text(name)}[/] [dim]{size}[/]")
    print_labels("Game", analysis.games, column="game")
    print_labels("What it shows", analysis.labels)
    _print_objects(analysis)
    _print_faces(analysis)
    if analysis.HasField("decision"):
        print_decision(analysis.decision)
    print_similar(analysis.similar_items)
    if response.HasField("attachment"):
        print_attachment(attached_to, response.attachment)
    print_failures(analysis.failures)


def _print_objects(analysis: pb.ImageAnalysis) -> None:
    if not analysis.objects:
        return
    table = plain_table()
    table.add_column("object")
    table.add_column("score", justify="right")
    table.add_column("left, top to right, bottom", justify="right", style="dim")
    for one in analysis.objects:
        table.add_row(text(one.label), f"{one.score:.0%}", _place(one.box, analysis))
    output.print(titled("Objects", table))


def _print_faces(analysis: pb.ImageAnalysis) -> None:
    if not analysis.faces:
        return
    table = plain_table()
    table.add_column("face", justify="right")
    table.add_column("score", justify="right")
    table.add_column("what it shows")
    table.add_column("left, top to right, bottom", justify="right", style="dim")
    for number, one in enumerate(analysis.faces, 1):
        expressions = ", ".join(f"{text(each.label)} {each.probability:.0%}" for each in one.expressions[:3])
        table.add_row(str(number), f"{one.score:.0%}", expressions, _place(one.box, analysis))
    output.print(titled("Faces", table, "An expression is a guess from a picture, not what the person feels."))


def _place(box: Box, analysis: pb.ImageAnalysis) -> str:
    left, top, right, bottom = pixels(box, analysis.width or 100, analysis.height or 100)
    unit = "" if analysis.width else " %"
    return f"{left:.0f}, {top:.0f} to {right:.0f}, {bottom:.0f}{unit}"
