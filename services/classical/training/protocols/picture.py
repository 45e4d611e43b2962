"""Draws what the protocols measured: every system with its interval, the whole in colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.classical.training.protocols.outcome import STACK, Outcome

_WHOLE, _REST, _OTHER = "#1f6feb", "#8b949e", "#bf8700"


def draw(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Writes a picture; the ending of the path decides the format."""
    import matplotlib as mpl  # noqa: PLC0415  # only for those who want a picture

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panels = pyplot.subplots(1, len(outcomes), figsize=(4.2 * len(outcomes), 4), squeeze=False)
    for axes, outcome in zip(panels[0], outcomes, strict=True):
        names = sorted(outcome.values, key=lambda name: float(outcome.values[name][-1].mean()))
        for place, name in enumerate(names):
            found = outcome.figure(name, len(outcome.metrics) - 1)
            colour = _WHOLE if name == STACK else _OTHER if name in outcome.baselines else _REST
            axes.errorbar(
                found.mean,
                place,
                xerr=[[found.mean - found.low], [found.high - found.mean]],
                fmt="o",
                color=colour,
                capsize=3,
            )
        axes.set_yticks(range(len(names)), names)
        axes.set_title(f"{outcome.protocol}, {outcome.users} users", fontsize=10)
        axes.set_xlabel(f"{outcome.metrics[-1]}, 95 % interval over users")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
