"""Draws a clip's timeline: frames of its highlights, how worth clipping each second is, events, objects and cuts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from marquee.entertainment.v1 import media_service_pb2 as pb
from services.cli.media.frames import frames_at
from services.cli.media.report import clock
from services.cli.media.story import ClipStory
from services.cli.media.timeline_rows import Row, columns, curve, rows
from services.cli.moderate import ACTIONS
from services.cli.tables import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

_INK, _FAINT, _GRID, _EMPTY = "#1f2430", "#667085", "#e3e6ec", "#f2f3f7"
_CURVE, _SHADE, _WRONG = "#5b4bdb", "#ffb000", "#c62828"
_MOST_FRAMES = 5
_WIDTH, _DPI = 12.0, 100
_LEFT, _RIGHT, _TITLE, _BOTTOM, _GAP = 1.35, 0.25, 0.75, 0.75, 0.14
_CURVE_HEIGHT, _ROW_HEIGHT, _WORDS, _BETWEEN = 1.5, 0.34, 0.5, 0.12
"""Inches."""
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_TICKS = 13
_WHY_LETTERS = 30
KNOWN_GAME_FROM = 0.5
"""Probability from which on the title names the game."""


def draw_timeline(story: ClipStory, path: Path, *, colours: int = 0) -> None:
    """Draw the timeline of a clip with at least one second.

    Args:
        story: what came back of the clip.
        path: picture to write, PNG or SVG by its ending.
        colours: of a PNG, with a number from 2 to 256: so many colours at most, for a file of a fraction of the size.

    Raises:
        typer.BadParameter: matplotlib is not there, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise typer.BadParameter("drawing a timeline needs matplotlib: pip install 'marquee[load]'") from error
    strips = rows(story)
    best = sorted(story.highlights[:_MOST_FRAMES], key=lambda one: one.start_seconds)
    pictures = frames_at(story.file, [story.moment(one) for one in best])
    best, pictures = best if any(pictures) else [], pictures if any(pictures) else []
    across = (_WIDTH - _LEFT - _RIGHT - _BETWEEN * (_MOST_FRAMES - 1)) / _MOST_FRAMES
    tall = max((across * one.height / one.width for one in pictures if one is not None), default=0.0)
    above = tall + _WORDS + 0.35 if best else 0.0
    height = _TITLE + above + _CURVE_HEIGHT + _GAP + _ROW_HEIGHT * len(strips) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    top = height - _TITLE - above
    over = _axes(figure, _LEFT, top - _CURVE_HEIGHT, _WIDTH - _LEFT - _RIGHT, _CURVE_HEIGHT)
    below = over
    _draw_title(figure, story)
    _draw_curve(over, story)
    if strips:
        deep = _ROW_HEIGHT * len(strips)
        below = _axes(figure, _LEFT, top - _CURVE_HEIGHT - _GAP - deep, _WIDTH - _LEFT - _RIGHT, deep)
        _draw_strips(below, story, strips)
        over.tick_params(labelbottom=False, length=0)
    _draw_cuts((over, below) if strips else (over,), story)
    _draw_seconds(below, story)
    for number, (one, picture) in enumerate(zip(best, pictures, strict=True)):
        left = _LEFT + number * (across + _BETWEEN)
        _draw_frame(figure, over, one, picture, (left, height - _TITLE - tall, across, tall))
    _draw_legend(figure, story, strips)
    try:
        figure.savefig(path, dpi=_DPI)
        if colours and path.suffix.lower() == ".png":
            _use_fewer_colours(path, colours)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot draw to {path}: {error}") from error


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _draw_title(figure: Figure, story: ClipStory) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.25 / _WIDTH, 1 - 0.2 / height, _plain(story.name), fontsize=15, weight="bold", color=_INK, va="top")
    parts = [f"{clock(story.start)} to {clock(story.end)}"]
    summary = story.summary
    if summary is not None and summary.games:
        best = summary.games[0]
        # The classifier has no answer for games that it never saw: it spreads what it says over those that it did.
        known = best.probability >= KNOWN_GAME_FROM
        parts.append(f"game: {best.label} {best.probability:.0%}" if known else "game: none that is known")
    if summary is not None and summary.labels:
        parts.append("shows: " + ", ".join(f"{one.label} {one.probability:.0%}" for one in summary.labels[:2]))
    parts.append(f"{len(story.highlights)} highlight{'' if len(story.highlights) == 1 else 's'}")
    parts.append(f"{len(story.cuts)} scene cut{'' if len(story.cuts) == 1 else 's'}")
    if summary is not None and summary.HasField("decision"):
        parts.append(f"decision: {ACTIONS.get(summary.decision.action, ('none', ''))[0]}")
    figure.text(0.25 / _WIDTH, 1 - 0.48 / height, _plain("  ·  ".join(parts)), fontsize=10.5, color=_FAINT, va="top")


def _draw_curve(axes: Axes, story: ClipStory) -> None:
    times, values = curve(story)
    axes.set(ylim=(0, 1.02), xlim=(story.start, max(story.end, story.start + 1e-3)), yticks=(0, 0.5, 1))
    axes.set_ylabel("worth\nclipping", rotation=0, ha="right", va="center", color=_INK, fontsize=10, labelpad=8)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for one in story.highlights:
        axes.axvspan(one.start_seconds, one.end_seconds, color=_SHADE, alpha=0.28, linewidth=0)
        axes.plot([one.start_seconds, one.end_seconds], [1.02, 1.02], color=_SHADE, linewidth=4, clip_on=False)
    if times:
        axes.fill_between(times, values, step="post", color=_CURVE, alpha=0.22, linewidth=0)
        axes.step(times, values, where="post", color=_CURVE, linewidth=1.8)
    else:
        axes.text(0.5, 0.5, "highlights were not asked for", transform=axes.transAxes, ha="center", color=_FAINT)
    for problem in story.problems:
        axes.plot(problem.time_seconds, 0.06, "x", color=_WRONG, markersize=9, markeredgewidth=2, clip_on=False)
    _dress(axes)


def _draw_strips(axes: Axes, story: ClipStory, strips: Sequence[Row]) -> None:
    import numpy as np
    from matplotlib.colors import to_rgb

    count = len(strips)
    paper = np.array(to_rgb(_EMPTY))
    for place, row in enumerate(strips):
        high = count - place
        share = np.array(columns(story, row.values))[None, :, None]
        cells = paper + (np.array(to_rgb(row.colour)) - paper) * share
        extent = (story.start, story.end, high - 0.93, high - 0.07)
        axes.imshow(cells, extent=extent, aspect="auto", interpolation="nearest", zorder=1)
        seen = [second + 0.5 for second in row.truth]
        axes.scatter(seen, [high - 0.5] * len(seen), s=20, facecolor="white", edgecolor=_INK, linewidth=1.1, zorder=4)
    breaks = [count - place for place, row in enumerate(strips) if place and row.kind != strips[place - 1].kind]
    for high in breaks:
        axes.axhline(high, color=_FAINT, linewidth=0.8)
    axes.set(xlim=(story.start, max(story.end, story.start + 1e-3)), ylim=(0, count))
    axes.set_yticks([count - place - 0.5 for place in range(count)], [_plain(row.name) for row in strips])
    _dress(axes)
    axes.tick_params(axis="y", length=0)
    for label, row in zip(axes.get_yticklabels(), strips, strict=True):
        label.set_color(row.colour)
        label.set_fontsize(10)
    axes.spines["left"].set_visible(False)


def _draw_cuts(panels: Sequence[Axes], story: ClipStory) -> None:
    for cut in story.cuts:
        for axes in panels:
            axes.axvline(cut.time_seconds, color=_INK, linewidth=1, linestyle=(0, (2, 2)), alpha=0.75, zorder=3)
        panels[0].plot(cut.time_seconds, 1.0, "v", color=_INK, markersize=8, clip_on=False, zorder=5)


def _draw_seconds(axes: Axes, story: ClipStory) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    length = max(story.end - story.start, 1.0)
    step = next((step for step in _STEPS if length / step <= _MOST_TICKS), _STEPS[-1] * (length // (3600 * 13) + 1))
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    axes.tick_params(axis="x", labelsize=10, colors=_FAINT, labelbottom=True)


def _draw_frame(
    figure: Figure, over: Axes, one: pb.Highlight, picture: Image | None, place: tuple[float, float, float, float]
) -> None:
    """Draw a highlight's frame at left, bottom, width, height in inches, its words, and a line to its seconds."""
    from matplotlib.patches import ConnectionPatch

    left, bottom, width, height = place
    axes = _axes(figure, left, bottom, width, height)
    axes.set(xticks=(), yticks=())
    if picture is not None:
        axes.imshow(picture.resize((round(width * _DPI), round(height * _DPI))), aspect="auto")
    for spine in axes.spines.values():
        spine.set(color=_SHADE, linewidth=2.5)
    when = f"{clock(one.start_seconds)}–{clock(one.end_seconds)}   {one.score:.2f}"
    reason = one.reason if len(one.reason) <= _WHY_LETTERS else f"{one.reason[: _WHY_LETTERS - 1].rstrip()}…"
    axes.text(
        0.5, -0.05, when, transform=axes.transAxes, ha="center", va="top", fontsize=10.5, weight="bold", color=_INK
    )
    axes.text(0.5, -0.2, _plain(reason), transform=axes.transAxes, ha="center", va="top", fontsize=9, color=_FAINT)
    line = ConnectionPatch(
        xyA=(0.5, -0.33),
        coordsA=axes.transAxes,
        xyB=((one.start_seconds + one.end_seconds) / 2, 1.03),
        coordsB=over.transData,
        color=_SHADE,
        linewidth=1.6,
    )
    figure.add_artist(line)


def _draw_legend(figure: Figure, story: ClipStory, strips: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    if story.highlights:
        handles.append(Patch(color=_SHADE, alpha=0.5, label="highlight"))
    if story.cuts:
        handles.append(Line2D([], [], color=_INK, marker="v", linestyle="", label="scene cut"))
    if any(row.kind == "event" for row in strips):
        handles.append(Patch(color=_FAINT, label="the darker, the more probable"))
    if any(row.truth for row in strips):
        label = "what the game's engine counted"
        handles.append(Line2D([], [], marker="o", linestyle="", markerfacecolor="white", color=_INK, label=label))
    if story.problems:
        handles.append(Line2D([], [], color=_WRONG, marker="x", linestyle="", label="not analysed"))
    if handles:
        figure.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(_LEFT / _WIDTH - 0.01, 0), ncols=5, frameon=False
        )


def _dress(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GRID)
    axes.tick_params(colors=_FAINT)


def _plain(words: str) -> str:
    """Return words of a file or server for a picture: a dollar sign would start a formula."""
    return printable(words).replace("$", r"\$")


def _use_fewer_colours(path: Path, colours: int) -> None:
    from PIL import Image

    with Image.open(path) as opened:
        fewer = opened.convert("RGB").quantize(colours)
    fewer.save(path, optimize=True)
