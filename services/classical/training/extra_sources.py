"""Candidate sources of other model families, which are fitted with the others and served by their own service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import onnx

if TYPE_CHECKING:
    from services.classical.training.dataset import Floats, Interactions
    from services.classical.training.histories import Positions


class GraphScorer(Protocol):
    """A fitted scorer that writes its own graph."""

    def score(self, interactions: Interactions, positions: Positions) -> Floats:
        """Scores every item for P histories: float32[P, N]."""

    def graph(self) -> onnx.ModelProto:
        """Returns a history scorer."""


@dataclass(frozen=True)
class ExtraSource:
    """A candidate source that the classical family does not know.

    Attributes:
        name: Of the scorer.
        service: Service that serves its graph.
        algorithm: What it is, for the manifest.
        parameters: Options of its fit, for the manifest.
        fit: Takes the events, a seed and a callback for the share done.
        share: How long its fit takes, in units of the time that all default sources take together.
    """

    name: str
    service: str
    algorithm: str
    parameters: Mapping[str, Any]
    fit: Callable[[Interactions, int, Callable[[float], None]], GraphScorer]
    share: float
