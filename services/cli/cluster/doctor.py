"""`marquee cluster doctor`: is this cluster fit, and is the release in it well?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from services.cli.cluster.api import ClusterApi, connect
from services.cli.cluster.arrows import check_arrows
from services.cli.cluster.certificates import check_certificates
from services.cli.cluster.checks import Check, Level, guarded
from services.cli.cluster.cluster_checks import (
    check_dns,
    check_metrics_server,
    check_pod_security,
    check_storage,
    check_version,
)
from services.cli.cluster.options import AsJson, ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.release import Release, find_release
from services.cli.cluster.release_checks import (
    check_autoscalers,
    check_images,
    check_probes,
    check_services,
    try_health,
)
from services.cli.cluster.rights import check_rights
from services.cli.console import output
from services.cli.failures import EXIT_FAILED, CommandFailed

EPILOG = """
[bold]Examples[/]

  marquee cluster doctor                        [dim]# before an install, and whenever something is odd[/]

  marquee cluster doctor --namespace media --try-arrows

  marquee cluster doctor --json | jq '.[] | select(.level == "fail")'

[dim]Exit code 1 when a check fails; warnings alone are 0. Nothing is changed.[/]
"""
_MARKS = {Level.OK: "[green]✓[/]", Level.WARN: "[yellow]![/]", Level.FAIL: "[red]✗[/]", Level.SKIP: "[dim]–[/]"}

Look = tuple[str, Callable[[], Iterable[Check]]]


def doctor(
    try_arrows: Annotated[
        bool, typer.Option("--try-arrows", help="Also ask each service for its health, through a forwarded port.")
    ] = False,
    as_json: AsJson = False,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Check the cluster and the release: version, rights, DNS, probes, arrows, certificates and more."""
    where = Where(context, namespace, release)
    api = connect(context, namespace)
    looks = cluster_looks(api, namespace or api.namespace)
    found: list[Check] = []
    with output.status("Looking at the cluster …"):
        for name, look in looks:
            found += guarded(name, look)
        found += _of_release(api, where, try_arrows)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        _print(found, f"{api.context or 'this cluster'} ({api.host})")
    if any(one.level is Level.FAIL for one in found):
        raise typer.Exit(EXIT_FAILED)


def cluster_looks(api: ClusterApi, namespace: str) -> list[Look]:
    """Return the checks that need no release."""
    return [
        ("version", lambda: check_version(api)),
        ("rights", lambda: check_rights(api, namespace)),
        ("DNS", lambda: check_dns(api)),
        ("metrics-server", lambda: check_metrics_server(api)),
        ("storage", lambda: check_storage(api, namespace)),
        ("Pod Security", lambda: check_pod_security(api, namespace)),
    ]


def release_looks(release: Release, *, try_arrows: bool) -> list[Look]:
    """Return the checks of a release."""
    looks: list[Look] = [
        ("images", lambda: check_images(release)),
        ("probes", lambda: check_probes(release)),
        ("names", lambda: check_services(release)),
        ("arrows", lambda: check_arrows(release)),
        ("autoscaling", lambda: check_autoscalers(release)),
        ("certificates", lambda: check_certificates(release)),
    ]
    return [*looks, ("health", lambda: try_health(release))] if try_arrows else looks


def _of_release(api: ClusterApi, where: Where, try_arrows: bool) -> list[Check]:
    try:
        release = find_release(api, where)
    except CommandFailed as error:
        level = Level.FAIL if where.release else Level.SKIP
        return [Check("release", level, str(error), error.advice)]
    found = [Check("release", Level.OK, f"{release.name}: {', '.join(release.components)}")]
    for name, look in release_looks(release, try_arrows=try_arrows):
        found += guarded(name, look)
    return found


def _print(found: list[Check], where: str) -> None:
    output.print(f"[bold]{escape(where)}[/]")
    for one in found:
        output.print(f"{_MARKS[one.level]} [bold]{one.name}[/]: {escape(one.said)}", soft_wrap=True)
        if one.advice and one.level is not Level.OK:
            for line in one.advice.splitlines():
                output.print(f"    [dim]{escape(line)}[/]", soft_wrap=True)
    counts = {level: sum(one.level is level for one in found) for level in Level}
    output.print(f"{counts[Level.OK]} fine, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} wrong.")
