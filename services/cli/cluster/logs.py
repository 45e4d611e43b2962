"""`marquee cluster logs`: what all pods say, in one view."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated

import typer
from rich.text import Text

from services.cli.cluster.log_streams import LogFollower, LogLine, LogWishes, read_logs
from services.cli.cluster.mesh import chosen_release
from services.cli.cluster.options import AsJson, ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.console import output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.log_view import is_quiet_line, parse_line, sentence_of
from services.cli.tables import printable

EPILOG = """
[bold]Examples[/]

  marquee cluster logs                          [dim]# the last lines of all pods, merged by time[/]

  marquee cluster logs --follow                 [dim]# goes on over restarts, with pods that come later[/]

  marquee cluster logs vision --since 10m --warnings

  marquee cluster logs --json --since 1h | jq 'select(.level == "error")'
"""
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def logs(
    component: Annotated[str, typer.Argument(help="Only this component.", show_default=False)] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    since: Annotated[
        str, typer.Option(metavar="10s|5m|2h|1d", help="Nothing older than this.", show_default=False)
    ] = "",
    tail: Annotated[
        int | None, typer.Option(help="Last lines of each pod. [dim]Else 50, or all with --since.[/]", min=0)
    ] = None,
    warnings: Annotated[bool, typer.Option("--warnings", help="Only what needs somebody's attention.")] = False,
    as_json: AsJson = False,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Show the logs of all pods as one, each pod in its colour."""
    wishes = LogWishes(seconds_of(since), 50 if tail is None and not since else -1 if tail is None else tail)
    chosen = chosen_release(Where(context, namespace, release))
    if component:
        chosen.deployment(component)  # there is one, or the command says which there are
    colours: dict[str, str] = {}
    pods = [pod for pod in chosen.pods(component) if (pod.get("status") or {}).get("phase", "Pending") != "Pending"]
    if follow:
        selector = chosen.selector(component)
        lines = LogFollower(chosen.api, chosen.namespace, selector, wishes).lines(math.inf)
    else:
        lines = iter(read_logs(chosen.api, chosen.namespace, pods, wishes))
    try:
        for line in lines:
            if warnings and is_quiet_line(line.text):
                continue
            if as_json:
                print(json.dumps({"pod": line.pod, "component": line.component, **_fields(line)}), flush=True)
            else:
                output.print(rendered(line, colours))
    except KeyboardInterrupt:
        return


def seconds_of(text: str) -> int:
    """Return a time span such as "90s", "5m", "2h" or "1d" in seconds; 0 for an empty one.

    Raises:
        CommandFailed: it is none.
    """
    if not text:
        return 0
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise CommandFailed(f"--since: {text!r} is no time span", "Write it as 90s, 5m, 2h or 1d.", EXIT_WRONG_INPUT)
    return int(found[1]) * _UNITS[found[2]]


def rendered(line: LogLine, colours: dict[str, str]) -> Text:
    """Return a line for people; `colours` remembers which pod has which."""
    colour = colours.setdefault(line.pod, _COLOURS[len(colours) % len(_COLOURS)])
    text = Text(f"{line.pod} ", style=colour)
    return text.append_text(sentence_of(line.text, line.time[11:19]))


def _fields(line: LogLine) -> dict[str, object]:
    entry = parse_line(line.text)
    return entry if entry is not None else {"timestamp": f"{line.time}Z", "event": printable(line.text)}
