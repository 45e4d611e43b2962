"""`marquee moderate`: decide on chat messages, replay a chat, keep policies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from marquee_client import MarqueeClient
from services.cli.analyze import read_lines
from services.cli.chat_picture import draw
from services.cli.chat_replay import Replay, replay_chat
from services.cli.connection import connected
from services.cli.console import output, stage
from services.cli.recommend import AsJson
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, printable, titled

EPILOG = """
[bold]Examples[/]

  marquee moderate "gg wp" "you st*pid m0r0n"

  marquee moderate --file chat.txt --chart chat.png   [dim]# one message a line, streamed; draws what was done[/]

  marquee moderate --policy                           [dim]# the policy that decides, as JSON[/]

  marquee moderate --file chat.txt --try strict.json  [dim]# what another policy would change, without setting it[/]

  marquee moderate --set strict.json                  [dim]# make it the next version of the policy it names[/]

  marquee moderate --policy --version 3 > old.json    [dim]# to go back: print an older version, and set it[/]
"""
ACTIONS = {
    pb.MODERATION_ACTION_ALLOW: ("allow", "green"),
    pb.MODERATION_ACTION_REVIEW: ("review", "yellow"),
    pb.MODERATION_ACTION_BLOCK: ("block", "red"),
}
_TOGETHER = 256


def moderate(
    texts: Annotated[list[str] | None, typer.Argument(help="Messages.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option(help="File with one message a line; - reads standard input.", show_default=False)
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Picture to draw of what was done (PNG or SVG).", show_default=False)
    ] = None,
    show_policy: Annotated[bool, typer.Option("--policy", help="Print the policy that decides, and end.")] = False,
    version: Annotated[int, typer.Option(min=0, help="With --policy: an older version; 0 is the newest.")] = 0,
    set_policy: Annotated[
        Path | None, typer.Option("--set", help="Policy (JSON) to make the next version, and end.", show_default=False)
    ] = None,
    trial: Annotated[
        Path | None, typer.Option("--try", help="Policy (JSON) to try beside the one that decides.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(help="Policy that decides.")] = "default",
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Decide what of a chat may be shown: allow, review or block, with reasons."""
    with connected(target) as client:
        if set_policy is not None:
            stored = client.set_moderation_policy(_read_policy(set_policy))
            output.print(f"[green]✓[/] policy {escape(stored.name)} is at version {stored.version}")
            return
        if show_policy:
            policy = client.moderation_policy(name, version=version)
            typer.echo(json_format.MessageToJson(policy, preserving_proto_field_name=True))
            return
        tried = _read_policy(trial) if trial else None
        if texts or tried is not None:
            given = [*(texts or []), *(read_lines(file) if file else [])]
            _decide(client, given, name, tried, as_json=as_json)
        elif file is not None:
            lines = read_lines(file)
            with stage("moderating", len(lines)) as progress:
                replay = replay_chat(client, lines, name, progress.advance)
            _print_replay(replay)
            if chart is not None and replay.actions:
                draw(replay, chart)
                output.print(f"drawn to {escape(str(chart))}")
        else:
            raise typer.BadParameter("give a message, --file, --policy or --set")


def _decide(
    client: MarqueeClient, texts: Sequence[str], policy: str, trial: pb.ModerationPolicy | None, *, as_json: bool
) -> None:
    changed = 0
    for start in range(0, len(texts), _TOGETHER):
        part = texts[start : start + _TOGETHER]
        found = client.moderate_text(part, policy=policy, dry_run=trial)
        changed += found.changed_count
        if as_json:
            typer.echo(json_format.MessageToJson(found, preserving_proto_field_name=True))
            continue
        tried = found.dry_run_decisions or found.decisions
        for text, decision, other in zip(part, found.decisions, tried, strict=True):
            if trial is None or decision.action != other.action:
                _print_decision(text, decision, other if trial is not None else None)
    if trial is not None and not as_json:
        output.print(f"the policy to try decides {changed:,} of {len(texts):,} messages differently")


def _print_decision(text: str, decision: pb.ModerationDecision, other: pb.ModerationDecision | None) -> None:
    label, colour = ACTIONS[decision.action]
    then = f" → {ACTIONS[other.action][0]}" if other is not None else ""
    output.print(f"[bold {colour}]{label:6}[/]{then} {escape(printable(text))}")
    for reason in decision.reasons:
        spans = ", ".join(repr(span.text) for span in reason.spans)
        output.print(f"       [dim]{escape(reason.message)}{': ' if spans else ''}{escape(spans)}[/]")
    if decision.read_as:
        output.print(f"       [dim]read as: {escape(decision.read_as)}[/]")


def _print_replay(replay: Replay) -> None:
    table = plain_table()
    table.add_column("decided")
    table.add_column("messages", justify="right")
    table.add_column("share", justify="right")
    total = max(1, len(replay.actions))
    for action, (label, colour) in ACTIONS.items():
        count = replay.actions.count(action)
        table.add_row(f"[{colour}]{label}[/]", f"{count:,}", f"{count / total:.1%}")
    reasons: Counter[str] = Counter()
    for (code, _), count in replay.reasons.items():
        reasons[code] += count
    for name, count in reasons.most_common():
        table.add_row(f"  {name.replace('_', ' ')}", f"{count:,}", f"{count / total:.1%}")
    notes = [
        f"{len(replay.actions) / max(replay.seconds, 1e-9):,.0f} messages a second; "
        f"{replay.disguised:,} held a disguised word."
    ]
    if replay.degraded:
        notes.append(f"[yellow]On {replay.degraded:,} messages a model did not answer.[/]")
    if replay.errors:
        notes.append(f"[yellow]{replay.errors:,} messages were no valid message.[/]")
    output.print(titled(f"{len(replay.actions):,} messages", table, *notes))


def _read_policy(path: Path) -> pb.ModerationPolicy:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
        return json_format.ParseDict(content, pb.ModerationPolicy())
    except (OSError, ValueError, AttributeError, TypeError, json_format.ParseError) as error:
        raise typer.BadParameter(
            f"{path} is no moderation policy: {error}; `marquee moderate --policy` prints one"
        ) from error
