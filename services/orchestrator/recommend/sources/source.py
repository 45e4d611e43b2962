"""What candidate sources are given, and what they give."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.store.records import UserEvent


@dataclass(frozen=True)
class SourceInput:
    """One request as sources see it.

    Attributes:
        tenant: owner of everything below.
        history: the user's newest events, oldest first.
        snapshot: the catalogue.
        allowed: bool[N] over the snapshot: passes the filter, is not excluded and, unless asked for, not seen.
        bundle: the serving bundle; None before the first training or while nobody has it loaded.
        count: candidates wanted from each source.
        ranker: name of the bundle's ranker that orders them; empty for its default one.
    """

    tenant: str
    history: Sequence[UserEvent]
    snapshot: CatalogSnapshot
    allowed: Mask
    bundle: ServingBundle | None
    count: int
    ranker: str = ""


@dataclass(frozen=True)
class Candidates:
    """Scores by item id, of each source that proposed something; comparable within one source only."""

    by_source: Mapping[str, Mapping[str, float]]

    def item_ids(self) -> list[str]:
        """Return every proposed item once, best of each source first."""
        return list(dict.fromkeys(item_id for scores in self.by_source.values() for item_id in scores))

    def without(self, sources: Collection[str]) -> Candidates:
        """Return what the other sources proposed."""
        return Candidates({source: scores for source, scores in self.by_source.items() if source not in sources})

    def sources_of(self, item_id: str) -> list[str]:
        """Return the sources that proposed an item."""
        return [source for source, scores in self.by_source.items() if item_id in scores]


def merge(parts: Sequence[Candidates]) -> Candidates:
    """Join what several sources proposed."""
    return Candidates({source: scores for part in parts for source, scores in part.by_source.items()})


NO_CANDIDATES = Candidates({})
