"""`marquee analyze text`: sentiment, emotions, toxicity, tags and language of texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from marquee.entertainment.v1 import content_service_pb2 as pb
from services.cli.connection import connected
from services.cli.console import output
from services.cli.recommend import AsJson
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, printable, titled

EPILOG = """
[bold]Examples[/]

  marquee analyze text "What a gorgeous, witty film!"

  marquee analyze text "you are a m0r0n" "gg well played" --tag insult --tag praise

  marquee analyze text --file reviews.txt --json      [dim]# one text a line[/]

[dim]Texts in a language that no model knows are said to be so, not guessed at.[/]
"""
_TOGETHER = 256

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def analyze() -> None:
    """What can be said of content."""


@app.command(epilog=EPILOG)
def text(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option(help="File with one text a line; - reads standard input.", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag of your own to score; give two or more.", show_default=False)
    ] = None,
    language: Annotated[str, typer.Option(help="Language, when you know it; otherwise it is identified.")] = "",
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Say what texts feel like, whether they harm, and what they are about."""
    given = [*(texts or []), *(read_lines(file) if file else [])]
    if not given:
        raise typer.BadParameter("give a text, or --file with one text a line")
    with connected(target) as client:
        for start in range(0, len(given), _TOGETHER):
            part = given[start : start + _TOGETHER]
            found = client.analyze_text(part, tags=tag or [], language=language)
            if as_json:
                typer.echo(json_format.MessageToJson(found, preserving_proto_field_name=True))
                continue
            for one, analysis in zip(part, found.analyses, strict=True):
                _print(one, analysis)


def read_lines(file: Path) -> list[str]:
    """Return the lines of a text file that are not blank; - is standard input."""
    try:
        content = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {file}: {error}") from error
    return [line for line in content.splitlines() if line.strip()]


def _print(one: str, analysis: pb.TextAnalysis) -> None:
    table = plain_table()
    table.add_column("what")
    table.add_column("answer")
    if analysis.HasField("language"):
        table.add_row("language", f"{escape(analysis.language.code)} ({analysis.language.confidence:.0%} sure)")
    if analysis.HasField("sentiment"):
        sentiment = analysis.sentiment
        colour = {"positive": "green", "negative": "red"}.get(sentiment.label, "yellow")
        table.add_row(
            "sentiment",
            f"[{colour}]{sentiment.label}[/] {_bar(sentiment.score)} {sentiment.score:+.2f}, "
            f"magnitude {sentiment.magnitude:.2f}",
        )
    if analysis.emotions:
        table.add_row("emotions", ", ".join(f"{each.label} {each.probability:.0%}" for each in analysis.emotions))
    for each in analysis.toxicity:
        spans = ", ".join(repr(span.text) for span in each.spans)
        table.add_row(f"[red]{escape(each.category)}[/]", f"{each.probability:.0%}  {escape(spans)}")
    if analysis.tags:
        table.add_row("tags", ", ".join(f"{escape(each.tag)} {each.score:.2f}" for each in analysis.tags))
    for failure in analysis.failures:
        name = pb.TextFeature.Name(failure.feature).removeprefix("TEXT_FEATURE_").lower()
        table.add_row(f"[yellow]{name}[/]", escape(f"{failure.reason}: {failure.message}"))
    notes = ["the end of the text was not read"] if analysis.truncated else []
    output.print(titled(printable(one if len(one) <= 90 else f"{one[:89]}…"), table, *notes))


def _bar(score: float) -> str:
    """Draw -1 to 1 as 11 cells with the middle in the middle."""
    at = round((score + 1) * 5)
    return "".join("●" if cell == at else "│" if cell == 5 else "─" for cell in range(11))
