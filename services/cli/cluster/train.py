"""`marquee cluster train`: fit a bundle in the cluster, as a Job."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from services.cli.cluster.job_following import follow_job
from services.cli.cluster.mesh import chosen_release
from services.cli.cluster.options import ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.release import name_of
from services.cli.cluster.train_job import TrainWishes, create_job, make_job, train_template
from services.cli.console import output

EPILOG = """
[bold]Examples[/]

  marquee cluster train                            [dim]# makes the Job and follows its log[/]

  marquee cluster train --with boosted --evaluate

  marquee cluster train --no-follow                [dim]# prints the Job's name and returns[/]

[dim]The Job comes from the release's suspended CronJob `…-train`, as `kubectl create job --from` makes it, and is
deleted an hour after its end. Ctrl-C stops following, not the Job. The exit code is that of the Job's container.[/]
"""


def train(
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Follow the log until the Job's end.")] = True,
    evaluate: Annotated[bool, typer.Option("--evaluate", help="As in `marquee train`.")] = False,
    more: Annotated[list[str] | None, typer.Option("--with", help="As in `marquee train`; may be given again.")] = None,
    even_if_worse: Annotated[bool, typer.Option("--even-if-worse", help="As in `marquee train`.")] = False,
    keep: Annotated[int, typer.Option(metavar="SECONDS", help="Delete the Job this long after its end.", min=0)] = 3600,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Longest time to follow.", min=1)] = 4 * 3600.0,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Fit the recommenders on everything stored, in a Job, and let the bundle serve."""
    chosen = chosen_release(Where(context, namespace, release))
    wishes = TrainWishes(evaluate, tuple(more or ()), even_if_worse, keep)
    name = name_of(create_job(chosen, make_job(train_template(chosen), wishes)))
    output.print(f"[green]✓[/] Job [bold]{escape(name)}[/] in namespace {escape(chosen.namespace)}")
    if not follow:
        output.print(f"Its log: kubectl logs --namespace {escape(chosen.namespace)} --follow job/{escape(name)}")
        return
    try:
        code = follow_job(chosen, name, timeout)
    except KeyboardInterrupt:
        output.print(f"Job {escape(name)} goes on. To stop it: kubectl delete job {escape(name)}")
        raise typer.Exit(130) from None
    if code:
        raise typer.Exit(code)
    output.print("Next: [bold]marquee cluster bundle list[/]")
