"""`marquee cluster status`: what runs in the cluster, and how it does."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.cli.cluster.mesh import chosen_release
from services.cli.cluster.mesh_view import MeshView, PodView, as_json, look
from services.cli.cluster.options import AsJson, ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.release import name_of
from services.cli.console import output
from services.cli.failures import EXIT_FAILED
from services.cli.status import STATE_WORDS
from services.cli.tables import megabytes, plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee cluster status

  marquee cluster status --watch                   [dim]# one live table, until Ctrl-C[/]

  marquee cluster status --json -n media | jq .bundle

[dim]Health and figures are read from each pod through the API server: that needs the right to forward ports. Rates are
since the pod began, with --watch of the last seconds; errors are calls that failed through the service's own fault.
Exit code 1 when something does not serve.[/]
"""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Pause between two looks of --watch.", min=0.5)] = 5.0,
    as_json_lines: AsJson = False,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Show pods, health, models, the serving bundle, queues and errors."""
    chosen = chosen_release(Where(context, namespace, release))
    if not watch:
        with output.status("Looking at the pods …"):
            view = look(chosen)
        _show(view, as_json_lines)
        if not view.all_serve:
            raise typer.Exit(EXIT_FAILED)
        return
    before: MeshView | None = None
    try:
        if as_json_lines or not output.is_terminal:
            while True:
                before = look(chosen, before)
                _show(before, as_json_lines)
                time.sleep(every)
        with Live(Text("Looking at the pods …"), console=output, auto_refresh=False, screen=False) as live:
            while True:
                before = look(chosen, before)
                live.update(rendered(before), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return


def rendered(view: MeshView) -> RenderableType:
    """Return a view as tables."""
    parts: list[RenderableType] = [
        titled(f"Release {view.release.name} in namespace {view.release.namespace}", _pods_table(view))
    ]
    models = _models_table(view)
    if models.row_count:
        parts.append(titled("Models", models))
    parts.append(_bundle_line(view))
    parts += [Text.from_markup(f"[yellow]{escape(note)}[/]") for note in view.notes]
    short = [f"{name} {ready} of {wanted}" for name, (ready, wanted) in view.counts.items() if ready < max(wanted, 1)]
    if short:
        parts.append(Text.from_markup(f"[red]Not everything serves:[/] pods ready: {escape(', '.join(short))}"))
    return Group(*parts)


def _show(view: MeshView, as_json_lines: bool) -> None:
    if as_json_lines:
        print(json.dumps(as_json(view)))
    else:
        output.print(rendered(view))


def _pods_table(view: MeshView) -> Table:
    table = plain_table()
    for column in ("service", "pod", "state", "health"):
        table.add_column(column, overflow="fold")
    for column in ("queue", "calls/s", "errors", "p95", "memory", "restarts", "age"):
        table.add_column(column, justify="right", no_wrap=True)
    seen = ""
    for pod in view.pods:
        ready, wanted = view.counts.get(pod.component, (0, 0))
        service = f"{pod.component} {ready}/{wanted}" if pod.component != seen else ""
        seen = pod.component
        table.add_row(service, escape(_short_name(view, pod)), _state(pod), _health(pod), *_figures(pod))
    for component, (ready, wanted) in view.counts.items():
        if not any(pod.component == component for pod in view.pods):
            table.add_row(f"{component} {ready}/{wanted}", "[dim]no pods[/]")
    return table


def _short_name(view: MeshView, pod: PodView) -> str:
    """Return what tells a pod from the others of its component; the whole name would leave no room for figures."""
    deployment = view.release.deployments.get(pod.component)
    return pod.name.replace(name_of(deployment), "…", 1) if deployment else pod.name


def _state(pod: PodView) -> str:
    return f"[green]{escape(pod.state)}[/]" if pod.ready else f"[yellow]{escape(pod.state)}[/]"


def _health(pod: PodView) -> str:
    if pod.health is None:
        return "[dim]not asked[/]"
    return f"[green]{pod.health}[/]" if pod.health == "serving" else f"[red]{pod.health}[/]"


def _figures(pod: PodView) -> list[str]:
    restarts = f"[yellow]{pod.restarts}[/]" if pod.restarts else "0"
    if pod.page is None or pod.rates is None:
        return [*[""] * 5, restarts, duration(pod.age_seconds)]
    errors = "" if pod.rates.error_share is None else f"{pod.rates.error_share:.2%}"
    slow = "" if pod.rates.slow_seconds is None else f"{pod.rates.slow_seconds * 1000:.0f} ms"
    return [
        f"{pod.page.queue_rows:,.0f}",
        f"{pod.rates.calls_per_second:,.1f}",
        f"[red]{errors}[/]" if pod.rates.error_share else errors,
        slow,
        megabytes(int(pod.page.memory_bytes)),
        restarts,
        duration(pod.age_seconds),
    ]


def _models_table(view: MeshView) -> Table:
    table = plain_table()
    for column in ("service", "model", "version", "task", "state"):
        table.add_column(column, overflow="fold")
    for component, models in view.models.items():
        for model in models:
            state = STATE_WORDS.get(model.state, "?") + (f" {escape(model.reason)}" if model.reason else "")
            table.add_row(component, escape(model.name), escape(model.version), escape(model.task), state)
    return table


def _bundle_line(view: MeshView) -> Text:
    bundle = view.bundle
    if bundle is None:
        return Text()
    if not bundle.version:
        return Text.from_markup("No bundle serves yet. Next: [bold]marquee cluster train[/]")
    before = f"; before it: {escape(bundle.previous_version)}" if bundle.previous_version else ""
    return Text.from_markup(f"Serving bundle: [bold]{escape(bundle.version)}[/], {bundle.item_count:,} items{before}.")


def duration(seconds: float) -> str:
    """Return a time span in its largest unit, for example "3 h"."""
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
