"""What a model's `model.yaml` says about one tensor, laid out for the check of every request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from services.runtime.open_inference.datatypes import DATATYPES, Datatype
from services.runtime.repository.manifest import TensorDescription

FREE = -1


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: its name.
        datatype: its elements.
        shape: length of each axis, -1 where it is free.
        rank: number of axes.
        fixed: (axis, length) of each axis that is not free.
        floating: whether NaN and infinity are possible.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    rank: int
    fixed: tuple[tuple[int, int], ...]
    floating: bool

    @classmethod
    def of(cls, description: TensorDescription) -> TensorSpec:
        """Return the spec of a described tensor."""
        datatype = DATATYPES[description.datatype]
        shape = tuple(description.shape)
        fixed = tuple((axis, length) for axis, length in enumerate(shape) if length != FREE)
        floating = numpy.issubdtype(datatype.dtype, numpy.floating)
        return cls(description.name, datatype, shape, len(shape), fixed, floating)

    @property
    def batch_axis(self) -> bool:
        """Whether the first axis is free, so that it counts rows."""
        return bool(self.shape) and self.shape[0] == FREE
