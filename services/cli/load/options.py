"""The options of `marquee load`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

_WHAT, _HOW, _LONG, _RAMP, _OUT = "What to send", "How to send it", "How long", "Ramp", "Report"

Method = Annotated[
    str | None, typer.Argument(metavar="[METHOD]", help="An RPC, for example marquee.text.v1.TextService/EmbedText.")
]
Scenario = Annotated[
    str | None,
    typer.Option(
        "--scenario",
        "-s",
        metavar="NAME|FILE",
        help="A mix of calls: browse, play, chat, or a YAML file.",
        rich_help_panel=_WHAT,
    ),
]
Request = Annotated[
    str, typer.Option("--request", "-d", metavar="JSON|@FILE", help="Request of METHOD.", rich_help_panel=_WHAT)
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME[/VERSION]", help="A model, by Open Inference.", rich_help_panel=_WHAT),
]
Tensors = Annotated[
    str,
    typer.Option(
        metavar="JSON|@FILE", help="Inputs of --model by name; else random ones that fit.", rich_help_panel=_WHAT
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option("--shape", metavar="INPUT=1,16", help="Shape of a random input.", rich_help_panel=_WHAT),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="KEY=VALUE", help="Sent with each call; may be given again.", rich_help_panel=_WHAT
    ),
]
Distinct = Annotated[
    int, typer.Option(min=1, max=100_000, help="Different requests to make for each step.", rich_help_panel=_WHAT)
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        metavar="HOST:PORT",
        show_default=False,
        rich_help_panel=_WHAT,
        help="The orchestrator; with METHOD or --model the service itself. [dim]Variable MARQUEE_TARGET.[/dim]",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        "-r",
        min=0.01,
        max=1_000_000,
        help="Open loop: calls a second; else 50.",
        rich_help_panel=_HOW,
    ),
]
Callers = Annotated[
    int | None, typer.Option("--callers", "-c", min=1, max=10_000, help="Closed loop: callers.", rich_help_panel=_HOW)
]
Arrivals = Annotated[
    Literal["poisson", "uniform"],
    typer.Option(help="How open-loop calls follow each other: at random, or evenly.", rich_help_panel=_HOW),
]
Deadline = Annotated[
    int, typer.Option("--deadline-ms", min=1, max=600_000, help="Of METHOD and --model.", rich_help_panel=_HOW)
]
MaxInFlight = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="Unanswered calls at once; more are `not sent`.", rich_help_panel=_HOW)
]
Processes = Annotated[
    int, typer.Option(min=0, max=256, help="Generator processes; 0: as many as the rate needs.", rich_help_panel=_HOW)
]
Channels = Annotated[
    int, typer.Option(min=1, max=256, help="Connections of each process to each service.", rich_help_panel=_HOW)
]
Seed = Annotated[int, typer.Option(min=0, max=1_000_000, help="Of arrivals and choices.", rich_help_panel=_HOW)]
Duration = Annotated[
    float, typer.Option("--duration", min=0.1, max=86_400, help="Measured seconds.", rich_help_panel=_LONG)
]
WarmUp = Annotated[
    float,
    typer.Option("--warm-up", min=0, max=3_600, help="Seconds before, which do not count.", rich_help_panel=_LONG),
]
Ramp = Annotated[
    bool, typer.Option("--ramp", help="Look for the highest rate served well; starts at --rate.", rich_help_panel=_RAMP)
]
Factor = Annotated[float, typer.Option(min=1.01, max=10, help="Each rate against the last.", rich_help_panel=_RAMP)]
StepSeconds = Annotated[
    float, typer.Option(min=0.5, max=3_600, help="Measured seconds of each rate.", rich_help_panel=_RAMP)
]
Objective = Annotated[
    float | None, typer.Option("--objective-ms", min=0.01, help="p99 that must be kept.", rich_help_panel=_RAMP)
]
Most = Annotated[float, typer.Option(min=0.01, max=1_000_000, help="Highest rate to offer.", rich_help_panel=_RAMP)]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="DIR", file_okay=False, help="Write page, plots and data there.", rich_help_panel=_OUT
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        rich_help_panel=_OUT,
        help="Exit 1 when it holds: 'p99>50ms', 'errors>1%', 'goodput<95%'; may be given again.",
    ),
]
ListAll = Annotated[bool, typer.Option("--list", help="List RPCs and scenarios, and end.", rich_help_panel=_WHAT)]
