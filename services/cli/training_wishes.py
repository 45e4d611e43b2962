"""What `--with` adds to a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from services.classical.training.extra_sources import ExtraSource
from services.classical.training.options import DEFAULT_SOURCES, SOURCES, FitOptions
from services.classical.training.rankers import RANKERS
from services.cli.failures import CommandFailed

TRANSFORMER = "transformer"


def fit_options(more: Sequence[str]) -> FitOptions:
    """Return the default options with more scorers and rankers.

    Raises:
        CommandFailed: nothing has that name.
    """
    options = FitOptions()
    unknown = [name for name in more if name not in {*SOURCES, *RANKERS, TRANSFORMER}]
    if unknown:
        extra = [*(name for name in SOURCES if name not in DEFAULT_SOURCES), TRANSFORMER, *RANKERS]
        raise CommandFailed(f"nothing to fit is called {unknown[0]!r}", f"--with takes: {', '.join(extra)}")
    return replace(
        options,
        extra=(_transformer(),) if TRANSFORMER in more else (),
        sources=tuple(name for name in SOURCES if name in {*options.sources, *more}),
        ranker=replace(
            options.ranker, families=tuple(name for name in RANKERS if name in {*options.ranker.families, *more})
        ),
    )


def _transformer() -> ExtraSource:
    """The next-item Transformer of the text family; torch takes seconds to import, and few machines have it.

    Raises:
        CommandFailed: torch is not installed.
    """
    try:
        from services.text.training.next_item.fitting import fit_next_item
    except ModuleNotFoundError as error:
        advice = "Install the extras: pip install 'marquee[fit,cpu,transformer]'"
        raise CommandFailed(f"fitting a Transformer needs the package {error.name}", advice) from error
    from services.text.training.next_item.options import NextItemOptions

    options = NextItemOptions()
    return ExtraSource(
        TRANSFORMER,
        "text",
        "next-item Transformer: self-attention over the newest events, cross-entropy over the catalogue",
        asdict(options),
        lambda events, seed, progress: fit_next_item(events, options, seed, progress),
        4.0,
    )
