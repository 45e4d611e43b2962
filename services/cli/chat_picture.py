"""Draws what moderation did to a chat: actions over time, reasons, delays, examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.cli.chat_replay import MESSAGES_ON_THEIR_WAY, Example, Replay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALLOW, REVIEW, BLOCK = pb.MODERATION_ACTION_ALLOW, pb.MODERATION_ACTION_REVIEW, pb.MODERATION_ACTION_BLOCK
_COLOURS: dict[int, str] = {ALLOW: "#2a7a3a", REVIEW: "#e0a030", BLOCK: "#b03030"}
_SHOWN = (BLOCK, REVIEW)
_NAMES: dict[int, str] = {ALLOW: "allow", REVIEW: "review", BLOCK: "block"}
_BARS = 50
_LONGEST_EXAMPLE = 62
_EXAMPLES_OF_EACH = 3


def draw(replay: Replay, path: Path) -> None:
    """Draw a replay with at least one message.

    Raises:
        typer.BadParameter: matplotlib is not there, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise typer.BadParameter("drawing needs matplotlib: pip install 'marquee[load]'") from error
    figure = Figure(figsize=(12, 8), layout="constrained")
    count = len(replay.actions)
    figure.suptitle(
        f"{count:,} messages moderated: {replay.share(ALLOW):.1%} allowed, {replay.share(REVIEW):.1%} for review, "
        f"{replay.share(BLOCK):.1%} blocked; {replay.disguised:,} held a disguised word; "
        f"{count / max(replay.seconds, 1e-9):,.0f} messages a second",
        fontsize=12,
    )
    panels = figure.subplot_mosaic([["over", "why"], ["delay", "examples"]], width_ratios=(5, 4))
    _draw_over_time(panels["over"], replay)
    _draw_reasons(panels["why"], replay)
    _draw_delays(panels["delay"], replay)
    _draw_examples(panels["examples"], replay)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot draw to {path}: {error}") from error


def _draw_over_time(axes: Axes, replay: Replay) -> None:
    width = max(1, -(-len(replay.actions) // _BARS))
    starts = list(range(0, len(replay.actions), width))
    below = [0.0] * len(starts)
    for action in _SHOWN:
        shares = [replay.actions[at : at + width].count(action) / len(replay.actions[at : at + width]) for at in starts]
        axes.bar(starts, shares, width * 0.9, bottom=below, align="edge", color=_COLOURS[action], label=_NAMES[action])
        below = [low + share for low, share in zip(below, shares, strict=True)]
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(title=f"What was not shown, each bar {width:,} messages", xlabel="message", ylabel="share of messages")
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_reasons(axes: Axes, replay: Replay) -> None:
    totals = {code: sum(replay.reasons[code, action] for action in _SHOWN) for code, _ in replay.reasons}
    codes = sorted(totals, key=lambda code: totals[code])
    before = [0] * len(codes)
    for action in _SHOWN:
        counts = [replay.reasons[code, action] for code in codes]
        axes.barh([code.replace("_", " ") for code in codes], counts, left=before, color=_COLOURS[action])
        before = [low + count for low, count in zip(before, counts, strict=True)]
    for row, code in enumerate(codes):
        axes.text(totals[code], row, f" {totals[code]:,}", va="center", fontsize=9)
    axes.set(title="Why (a message may have several reasons)", xlabel="messages")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_delays(axes: Axes, replay: Replay) -> None:
    milliseconds = sorted(delay * 1000 for delay in replay.delays)
    axes.hist(milliseconds, bins=60, color="#4a7ba6")
    for share, line in ((0.5, "-"), (0.99, "--")):
        value = milliseconds[min(len(milliseconds) - 1, int(share * len(milliseconds)))]
        axes.axvline(value, color="#222222", linestyle=line, label=f"{share * 100:.0f} of 100 within {value:,.0f} ms")
    axes.set(
        title=f"Time to a decision, {MESSAGES_ON_THEIR_WAY} messages on their way",
        xlabel="ms",
        ylabel="messages",
        xlim=0,
    )
    axes.legend(edgecolor="none", framealpha=1)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_examples(axes: Axes, replay: Replay) -> None:
    axes.set_axis_off()
    axes.set_title("Examples (what was found is masked)")
    height = 0.97
    for heading, action, examples in chosen_examples(replay):
        axes.text(0, height, heading, color=_COLOURS[action], weight="bold", fontsize=9, va="top")
        height -= 0.07
        for text in examples:
            # A dollar sign would start a formula.
            axes.text(0.02, height, text.replace("$", r"\$"), fontsize=8, va="top")
            height -= 0.062


def chosen_examples(replay: Replay) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (heading, action, messages) with the first messages of each kind; what was found in them is masked."""
    plain = [each for each in replay.examples if each.text.isascii() and len(each.text) <= _LONGEST_EXAMPLE]
    groups = (
        ("disguised", BLOCK, [each for each in plain if each.decision.read_as and each.decision.action == BLOCK]),
        ("blocked", BLOCK, [each for each in plain if not each.decision.read_as and each.decision.action == BLOCK]),
        ("for review", REVIEW, [each for each in plain if each.decision.action == REVIEW]),
        (
            "disguised and allowed",
            ALLOW,
            [each for each in plain if each.decision.read_as and each.decision.action == ALLOW],
        ),
    )
    for heading, action, found in groups:
        if found:
            yield heading, action, [_masked(each) for each in found[:_EXAMPLES_OF_EACH]]


def _masked(example: Example) -> str:
    letters = list(example.text)
    for reason in example.decision.reasons:
        for span in reason.spans:
            for place in range(span.start + 1, min(span.end, len(letters)) - 1):
                letters[place] = "•" if letters[place].isalpha() else letters[place]
    codes = ", ".join(reason.code.replace("_", " ") for reason in example.decision.reasons)
    return f"{''.join(letters)}   [{codes}]" if codes else "".join(letters)
