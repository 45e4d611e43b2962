"""What `--with` adds to a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.classical.training.options import DEFAULT_SOURCES, SOURCES, FitOptions
from services.classical.training.rankers import RANKERS
from services.cli.failures import CommandFailed


def fit_options(more: Sequence[str]) -> FitOptions:
    """Return the default options with more scorers and rankers.

    Raises:
        CommandFailed: nothing has that name.
    """
    options = FitOptions()
    unknown = [name for name in more if name not in {*SOURCES, *RANKERS}]
    if unknown:
        extra = [*(name for name in SOURCES if name not in DEFAULT_SOURCES), *RANKERS]
        raise CommandFailed(f"nothing to fit is called {unknown[0]!r}", f"--with takes: {', '.join(extra)}")
    return replace(
        options,
        sources=tuple(name for name in SOURCES if name in {*options.sources, *more}),
        ranker=replace(
            options.ranker, families=tuple(name for name in RANKERS if name in {*options.ranker.families, *more})
        ),
    )
