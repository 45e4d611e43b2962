"""`marquee cluster route`: a new bundle for a share of the users first."""

from __future__ import annotations

import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from services.cli.cluster.bundle import wait_until_all_have
from services.cli.cluster.canary import BASELINE, CANARY, TASK, Canary, CanaryPlan, Outcome
from services.cli.cluster.canary_report import change, write_report
from services.cli.cluster.mesh import chosen_release, orchestrator
from services.cli.cluster.mesh_calls import MeshCalls
from services.cli.cluster.options import ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.release import Release
from services.cli.cluster.verdict import Decision, Limits
from services.cli.console import output
from services.cli.failures import EXIT_FAILED, CommandFailed
from services.cli.route import show_routes
from services.cli.signals import stop_signals_as_interrupts
from services.cli.tables import plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee cluster route canary --bundle 20261124T101500Z --share 10 --minutes 15

  marquee cluster route canary --bundle 20261124T101500Z --decide never     [dim]# look and report, then leave it[/]

  marquee cluster route list

  marquee cluster route delete              [dim]# the serving bundle answers everybody again[/]

[dim]A canary compares failures, fallbacks and durations by pairs of probes of users who do not exist, and click-through
by what real users do. It rolls back as soon as something is surely worse, and promotes only when enough is known.[/]
"""
_EXIT_INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True)


class Decide(StrEnum):
    """Who decides at the end of a canary."""

    AUTO = "auto"
    ASK = "ask"
    NEVER = "never"


@app.command()
def canary(
    bundle: Annotated[str, typer.Option("--bundle", help="Version of the new bundle.")],
    share: Annotated[int, typer.Option(metavar="PERCENT", help="Users who get it.", min=1, max=99)] = 10,
    minutes: Annotated[float, typer.Option(help="How long.", min=0.05, max=7 * 24 * 60)] = 15.0,
    decide: Annotated[
        Decide, typer.Option(help="Promote or roll back by the figures, ask, or leave the route as it is.")
    ] = Decide.ASK,
    ranker: Annotated[
        str, typer.Option(help="One of its rankers. [dim]Else its default one.[/]", show_default=False)
    ] = "",
    probe_rate: Annotated[
        float, typer.Option(metavar="PER SECOND", help="Pairs of probes; 0 sends none.", min=0, max=50)
    ] = 1.0,
    slower: Annotated[
        float, typer.Option(metavar="PERCENT", help="How much slower it may be.", min=0, max=1000)
    ] = 20.0,
    click_loss: Annotated[
        float, typer.Option(metavar="POINTS", help="Loss of click-through that has to be ruled out.", min=0, max=100)
    ] = 2.0,
    min_lists: Annotated[
        int, typer.Option(help="Lists of each arm before click-through counts; 0 decides without it.", min=0)
    ] = 200,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a route that is there already.")
    ] = False,
    report: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report goes, as Markdown and JSON.", file_okay=False)
    ] = Path(),
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Give a new bundle to a share of the users, compare it with the serving one, and promote it or roll it back."""
    if decide is Decide.ASK and not sys.stdin.isatty():
        raise CommandFailed("there is nobody to ask: this is no terminal", "Say --decide auto or --decide never.")
    chosen = chosen_release(Where(context, namespace, release))
    limits = Limits(1 + slower / 100, click_loss / 100, min_lists)
    plan = CanaryPlan(bundle, ranker, share, minutes * 60, probe_rate, limits)
    with orchestrator(chosen) as client, stop_signals_as_interrupts():
        trial = Canary(client, plan, replace=replace)
        calls = MeshCalls(chosen)
        trial.begin()
        output.print(f"[green]✓[/] {share} % of the users get {escape(bundle)}. Ctrl-C rolls back.")
        try:
            code = _run(trial, chosen, decide)
        except BaseException:
            output.print("[red]The route is still set.[/] To take it away: marquee cluster route delete")
            raise
        finally:
            with suppress(CommandFailed):  # figures beside the report's own
                trial.outcome.mesh = calls.since()
            path = write_report(trial.outcome, report)
            output.print(f"{escape(trial.outcome.action)}\nReport: {escape(str(path))} [dim](and .json)[/]")
    if code:
        raise typer.Exit(code)


@app.command("list")
def list_routes(context: ContextOption = "", namespace: NamespaceOption = "", release: ReleaseOption = "") -> None:
    """Show all routes with the share of each arm."""
    with orchestrator(chosen_release(Where(context, namespace, release))) as client:
        routes = client.list_routes()
    if routes:
        show_routes(routes)
    else:
        output.print("No routes: the serving bundle answers everybody.")


@app.command()
def delete(
    task: Annotated[str, typer.Option("--task", help="What is routed.")] = TASK,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Delete a route: the serving bundle answers everybody again."""
    with orchestrator(chosen_release(Where(context, namespace, release))) as client:
        client.delete_route(task)
    output.print(f"[green]✓[/] no route for {escape(task)} any more")


def rendered(outcome: Outcome) -> Group:
    """Return how a canary does."""
    table = plain_table()
    for column in ("compared", "difference", "judged"):
        table.add_column(column, overflow="fold")
    for one in outcome.verdict.comparisons:
        colour = {"worse": "red", "not worse": "green"}.get(one.judgement, "yellow")
        table.add_row(one.name, change(one), f"[{colour}]{one.judgement}[/]")
    lists = ", ".join(f"{name} {arm.lists:,}" for name, arm in outcome.arms.items())
    left = max(0.0, outcome.plan.seconds - outcome.seconds)
    return titled(
        f"Canary {outcome.plan.bundle} against {outcome.arms[BASELINE].bundle}",
        table,
        f"Lists of real users: {lists}; pairs of probes: {len(outcome.arms[CANARY].seconds):,}; {left:.0f} s left.",
        f"Intervals of {outcome.verdict.confidence:g} %.",
    )


def _run(trial: Canary, release: Release, decide: Decide) -> int:
    """Watch a canary to its end and do what follows from it; returns the exit code."""
    try:
        missing = wait_until_all_have(release, trial.outcome.plan.bundle)
        if missing:
            trial.outcome.notes.append(f"these pods have not loaded the new bundle: {', '.join(missing)}")
        _watch(trial)
        return _act(trial, decide)
    except KeyboardInterrupt:
        trial.restore()
        return _EXIT_INTERRUPTED


def _watch(trial: Canary) -> None:
    if output.is_terminal:
        with Live(Text("Asking both arms …"), console=output, auto_refresh=False) as live:
            trial.watch(lambda outcome: live.update(rendered(outcome), refresh=True))
    else:
        trial.watch(lambda _: None)
        output.print(rendered(trial.outcome))


def _act(trial: Canary, decide: Decide) -> int:
    """Do what the figures or the user say; returns the exit code."""
    verdict = trial.outcome.verdict
    output.print(f"[bold]{verdict.decision.value.capitalize()}[/]: {escape(verdict.reason)}.")
    if decide is Decide.NEVER:
        trial.outcome.action = "left as it is: the route is still set"
        output.print(
            f"To promote: marquee cluster bundle promote {escape(trial.outcome.plan.bundle)}, "
            "then: marquee cluster route delete"
        )
        return 0 if verdict.decision is Decision.PROMOTE else EXIT_FAILED
    promoted = verdict.decision is Decision.PROMOTE
    if decide is Decide.ASK and verdict.decision is not Decision.ROLL_BACK:  # harm does not wait for an answer
        promoted = typer.confirm("Promote the new bundle? (No rolls back)", default=promoted)
    if promoted:
        trial.promote()
        return 0
    trial.restore()
    return EXIT_FAILED
