"""`marquee evaluate`: every offline protocol on what is stored, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from services.cli.connection import connected
from services.cli.console import output
from services.cli.failures import CommandFailed
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled

if TYPE_CHECKING:
    from services.classical.training.protocols.outcome import Outcome

EPILOG = """
[bold]Examples[/]

  marquee evaluate                                  [dim]# all protocols; 100,000 events take two to three minutes[/]

  marquee evaluate --protocol leave-one-out --seeds 1

  marquee evaluate --plot comparison.png            [dim]# draws every system with its interval[/]

[dim]Reads titles and events through the orchestrator and fits on this machine; nothing that serves is touched.
Protocols: leave-one-out (each user's newest event), time (the first new event in the last tenth of time), random (a
fifth of each user's titles), cold (a tenth of all titles, by content alone).[/]
"""


def evaluate(
    protocol: Annotated[
        list[str] | None, typer.Option("--protocol", help="Only this one; may be given again.", show_default=False)
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Random orders of events with equal times.")] = 3,
    more: Annotated[
        list[str] | None, typer.Option("--with", help="Also fit this scorer or ranker; may be given again.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="File for a picture, .png or .svg.", dir_okay=False)] = None,
    target: TargetOption = None,
) -> None:
    """Measure the recommenders offline: each scorer, each ranker and the whole, with intervals."""
    try:
        from services.cli.evaluation_run import PROTOCOLS, run_protocols  # SciPy and scikit-learn take a second
    except ModuleNotFoundError as error:
        advice = "Install the extras: pip install 'marquee[fit,cpu]'"
        raise CommandFailed(f"fitting needs the package {error.name}", advice) from error
    chosen = protocol or list(PROTOCOLS)
    unknown = [name for name in chosen if name not in PROTOCOLS]
    if unknown:
        raise CommandFailed(f"no protocol is called {unknown[0]!r}", f"There are: {', '.join(PROTOCOLS)}")
    with connected(target) as client:
        outcomes = run_protocols(client, chosen, seeds, more or ())
    for outcome in outcomes:
        output.print(titled(f"{outcome.protocol}: {outcome.users:,} users", _table(outcome), *_comparison(outcome)))
    if plot:
        from services.classical.training.protocols.picture import draw

        draw(plot, outcomes)
        output.print(f"Drawn: {plot}")


def _table(outcome: Outcome) -> Table:
    table = plain_table()
    table.add_column("system")
    for metric in outcome.metrics:
        table.add_column(f"{metric} (95 % interval)", justify="right")
    for name in outcome.values:
        figures = [outcome.figure(name, number) for number in range(len(outcome.metrics))]
        cells = [f"{one.mean:.4f} ({one.low:.4f} to {one.high:.4f})" for one in figures]
        table.add_row(name, *cells, style="bold" if name == "ranker" else None)
    return table


def _comparison(outcome: Outcome) -> list[str]:
    best, chosen = outcome.best_single(), outcome.chosen_single()
    lines = [_gain(outcome, best, "the best single one in hindsight")]
    if chosen:
        lines.insert(0, _gain(outcome, chosen, "the single one that validation chooses"))
    return lines


def _gain(outcome: Outcome, system: str, what: str) -> str:
    gain = outcome.gain(system)
    return (
        f"ranker against {system}, {what}: {outcome.metrics[-1]} {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
    )
