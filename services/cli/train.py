"""`marquee train`: fit the recommenders on what is stored and let them serve."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from marquee_client import MarqueeClient
from services.cli.connection import connected
from services.cli.console import output
from services.cli.failures import CommandFailed
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled
from services.runtime.sources import DataSettings

if TYPE_CHECKING:
    from services.classical.training.promotion import Verdict
    from services.cli.training_run import TrainingRun

EPILOG = """
[bold]Examples[/]

  marquee train

  marquee train --with item2vec --with boosted    [dim]# more candidate scorers, more rankers[/]

  marquee train --with transformer    [dim]# a Transformer over each user's newest events; needs torch, takes minutes[/]

  marquee train --evaluate     [dim]# also measure a fit that does not see each user's newest event[/]

[dim]Reads titles and events through the orchestrator and fits on this machine. When a bundle serves, a fit is first
held against it on what users did since that was fitted, and given up when it is worse by more than chance. Else it
is written as a bundle that never changes, and serves once every model service has loaded it. 100,000 events take
seconds.[/]
"""


def train(
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also fit without each user's newest event, and measure on it.")
    ] = False,
    more: Annotated[
        list[str] | None,
        typer.Option("--with", help="Also fit this: item2vec, transformer, or the ranker boosted; may be given again."),
    ] = None,
    even_if_worse: Annotated[
        bool, typer.Option("--even-if-worse", help="Do not compare with the serving bundle first.")
    ] = False,
    bundles: Annotated[
        Path | None,
        typer.Option(
            help="Folder the services load bundles from. [dim]Else bundles/ in the data folder.[/]", file_okay=False
        ),
    ] = None,
    target: TargetOption = None,
) -> None:
    """Fit the recommenders on everything stored, write a bundle, let it serve."""
    with connected(target) as client:
        folder = bundles or DataSettings().data_directory / "bundles"
        run = run_training(client, folder, evaluate=evaluate, more=more or (), even_if_worse=even_if_worse)
    print_run(run)
    output.print(f"Next: [bold]marquee recommend {escape(shlex.quote(run.user_id))}[/]")


def run_training(
    client: MarqueeClient,
    bundles: Path,
    *,
    evaluate: bool = False,
    more: Sequence[str] = (),
    even_if_worse: bool = False,
) -> TrainingRun:
    """Fit a bundle, write it below `bundles`, let it serve; see `train_and_activate`."""
    try:
        # SciPy and scikit-learn take a second to import.
        from services.cli.training_run import TrainingWishes, train_and_activate
        from services.cli.training_wishes import fit_options
    except ModuleNotFoundError as error:
        advice = "Install the extras: pip install 'marquee[fit,cpu]'"
        raise CommandFailed(f"fitting needs the package {error.name}", advice) from error
    return train_and_activate(client, bundles, TrainingWishes(fit_options(more), evaluate, even_if_worse))


def print_run(run: TrainingRun) -> None:
    """Print how long a training took, how good its result is, and what serves now."""
    output.print(titled("Where the time went", _seconds_table(run)))
    users = f"Validation: on the newest event of {run.manifest['validation']['users']:,} users."
    output.print(titled("Is the title that a user chose next among the first ten?", _figures_table(run), users))
    if run.verdict is not None:
        output.print(_verdict(run.verdict))
    before = f" Before it: {run.previous_version}." if run.previous_version else ""
    output.print(f"Bundle [bold]{run.manifest['version']}[/] serves.{before}")


def _verdict(verdict: Verdict) -> str:
    """Say how the fit did against the bundle that served before."""
    if verdict.difference is None:
        return f"[dim]{verdict.users} users did something new since the last fit: too few to compare the two.[/]"
    mean, low, high = verdict.difference
    return (
        f"On what {verdict.users:,} users did since: NDCG@10 [bold]{verdict.ours.ndcg:.4f}[/], the bundle before "
        f"{verdict.theirs.ndcg:.4f}; difference {mean:+.4f} ({low:+.4f} to {high:+.4f})."
    )


def _seconds_table(run: TrainingRun) -> Table:
    table = plain_table()
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for name, seconds in run.seconds.items():
        table.add_row(name, f"{seconds:.2f}")
    table.add_section()
    table.add_row("[bold]together[/]", f"[bold]{sum(run.seconds.values()):.2f}[/]")
    return table


def _figures_table(run: TrainingRun) -> Table:
    """How often the item that a user chose next was among the first ten, and how high up."""
    table = plain_table()
    table.add_column("scorer")
    table.add_column("HR@10", justify="right")
    table.add_column("NDCG@10", justify="right")
    if run.held_out:
        table.add_column("held out: HR@10", justify="right")
        table.add_column("NDCG@10", justify="right")
    figures = run.manifest["validation"]["figures"]
    for name, values in figures.items():
        row = [name, f"{values['hit_rate_10']:.3f}", f"{values['ndcg_10']:.3f}"]
        if run.held_out:
            hit_rate, gain = run.held_out.get(name, (None, None))
            row += ["" if value is None else f"{value:.3f}" for value in (hit_rate, gain)]
        table.add_row(*row, style="bold" if name == "ranker" else None)
    return table
