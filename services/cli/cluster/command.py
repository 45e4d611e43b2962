"""`marquee cluster`: the group of its commands."""

from __future__ import annotations

import typer

from services.cli.cluster import bundle, doctor, logs, port_forward, route, scale, status, train

EPILOG = """
[bold]Examples[/]

  marquee cluster doctor          [dim]# is this cluster fit, is the release well[/]

  marquee cluster status --watch  [dim]# pods, health, models, queues, errors[/]

  marquee cluster train           [dim]# fit a bundle in the cluster[/]

  marquee cluster route canary --bundle 20261124T101500Z

[dim]Works with your kubeconfig and your rights; the chart's `operatorRole` has what all of it needs. The mesh is found
by its labels in the context's namespace. Exit codes: 0 done, 1 the answer is no, 2 wrong input, 3 nobody answered.[/]
"""

app = typer.Typer(no_args_is_help=True)
app.command(epilog=doctor.EPILOG)(doctor.doctor)
app.command(epilog=status.EPILOG)(status.status)
app.command(epilog=scale.EPILOG)(scale.scale)
app.add_typer(
    bundle.app, name="bundle", help="Which bundles the pods have; promote and roll back.", epilog=bundle.EPILOG
)
app.add_typer(route.app, name="route", help="A new bundle for a share of the users first.", epilog=route.EPILOG)
app.command(epilog=train.EPILOG)(train.train)
app.command(epilog=logs.EPILOG)(logs.logs)
app.command("port-forward", epilog=port_forward.EPILOG)(port_forward.port_forward)
