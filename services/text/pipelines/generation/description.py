"""`generation.json`: how a language model's graph is fed, where its texts begin and end, and what it carries on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.runtime.repository.manifest import ModelManifest

GENERATION_FILE = "generation.json"
IDS, MASK, POSITIONS, LOGITS = "input_ids", "attention_mask", "position_ids", "logits"


class StateDescription(BaseModel):
    """One tensor that a run hands to the next.

    Attributes:
        input: name of the graph's input.
        output: name of the graph's output that is the next run's input.
        shape: its axes; -1 for the first, which counts rows, and for the growing one.
        growing_axis: axis that grows by one for each token; None for a state of fixed size, which starts as zeros.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    output: str
    shape: tuple[int, ...] = Field(min_length=2)
    growing_axis: int | None

    @model_validator(mode="after")
    def _free_axes_are_rows_and_growth(self) -> StateDescription:
        free = [axis for axis, length in enumerate(self.shape) if length < 0]
        expected = [0] if self.growing_axis is None else [0, self.growing_axis]
        if free != expected:
            raise ValueError(f"{self.input}: the free axes are {free}; those of rows and growth are {expected}")
        return self

    def sized(self, rows: int, length: int) -> tuple[int, ...]:
        """Return the shape for so many rows, and so many tokens along the growing axis."""
        return (rows, *(length if axis == self.growing_axis else size for axis, size in enumerate(self.shape) if axis))


class LanguageModelDescription(BaseModel):
    """What the file says.

    Attributes:
        kind: family of the network.
        context_tokens: most tokens of prompt and generated text together.
        begin_token: put before the prompt; None for nothing.
        end_tokens: any of them ends the text.
        states: what a run hands to the next.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["transformer", "recurrent"]
    context_tokens: int = Field(ge=2)
    begin_token: int | None = Field(ge=0)
    end_tokens: tuple[int, ...]
    states: tuple[StateDescription, ...] = Field(min_length=1)


def read_description(folder: Path, manifest: ModelManifest) -> LanguageModelDescription:
    """Read the file of a version folder and compare it with the tensors of `model.yaml`.

    Raises:
        ValueError: it does not say what it should, or the graph has other tensors.
        OSError: it cannot be read.
    """
    description = LanguageModelDescription.model_validate_json((folder / GENERATION_FILE).read_bytes())
    for title, declared, needed, optional in (
        ("inputs", manifest.inputs, {IDS, *(state.input for state in description.states)}, {MASK, POSITIONS}),
        ("outputs", manifest.outputs, {LOGITS, *(state.output for state in description.states)}, set()),
    ):
        names = {tensor.name for tensor in declared}
        if not needed <= names <= needed | optional:
            raise ValueError(f"the {title} are {sorted(names)}; {GENERATION_FILE} needs {sorted(needed)}")
    return description
