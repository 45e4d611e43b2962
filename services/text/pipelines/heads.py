"""`heads.json`: what the outputs of a model for understanding mean, and from which probability on they count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HEADS_FILE = "heads.json"
Probability = Annotated[float, Field(ge=0, le=1)]


class LabelHead(BaseModel):
    """Names and thresholds of a head, in the order of its outputs; a threshold is a probability, 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...]
    thresholds: tuple[Probability, ...]

    @model_validator(mode="after")
    def _one_threshold_a_label(self) -> Self:
        if len(self.labels) != len(self.thresholds):
            raise ValueError(f"there are {len(self.labels)} labels and {len(self.thresholds)} thresholds")
        return self


class Heads(BaseModel):
    """The heads that a model has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sentiment: bool = False
    emotion: LabelHead | None = None
    toxicity: LabelHead | None = None
    span_probability: Probability = 0.3
    """A token whose own probability is at least this belongs to a toxic span."""


def read_heads(folder: Path) -> Heads:
    """Read the file of a version folder.

    Raises:
        ValueError: it does not say what it should.
        OSError: it cannot be read.
    """
    return Heads.model_validate_json((folder / HEADS_FILE).read_bytes())
