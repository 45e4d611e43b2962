"""Names of candidate sources in a request, held against those that there are."""

from __future__ import annotations

from collections.abc import Mapping

from services.orchestrator.mesh import FAMILIES
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.recommend.sources.fresh import FRESH
from services.orchestrator.recommend.sources.popularity import POPULARITY
from services.orchestrator.recommend.sources.source import Candidates
from services.orchestrator.recommend.sources.tastes import TASTES
from services.orchestrator.recommend.sources.trending import TRENDING
from services.runtime.errors import FieldViolation, InvalidRequest

_OWN = (POPULARITY, TRENDING, TASTES, FRESH)


def check_source_weights(weights: Mapping[str, float], candidates: Candidates, bundle: ServingBundle | None) -> None:
    """Refuse a name that no source has; while a model service is away, its sources cannot be told, and any name goes.

    Raises:
        InvalidRequest: no source has the name.
    """
    if not weights or bundle is None or not all(family in bundle.scorers for family in FAMILIES):
        return
    scorers = [name for family in FAMILIES for name in bundle.scorers[family]]
    known = dict.fromkeys([*scorers, *candidates.by_source, *_OWN])
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise InvalidRequest(
            [
                FieldViolation(
                    f"source_weights[{name[:64]}]", f"is no source of this list; there are {', '.join(known)}"
                )
                for name in unknown
            ]
        )
