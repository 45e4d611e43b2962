"""Seconds of gameplay video to events, by a recurrent network whose memory travels from second to second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

from marquee.common.v1 import media_pb2
from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.repository.loader import LoadedModel

TASK = "video-events"
EVENTS = (
    media_pb2.GAMEPLAY_EVENT_SCORE,
    media_pb2.GAMEPLAY_EVENT_KILL,
    media_pb2.GAMEPLAY_EVENT_DAMAGE,
    media_pb2.GAMEPLAY_EVENT_LIFE_LOST,
    media_pb2.GAMEPLAY_EVENT_IDLE,
)
"""The events in the order of the model's outputs."""

Pixels = numpy.typing.NDArray[numpy.uint8]
Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True, slots=True)
class EventsInput:
    """Seconds of different streams, or one.

    Attributes:
        frames: uint8[B, frames a second, height, width, 3], RGB.
        state: float32[B, ...], what the network remembers of each stream; zeros at its start.
    """

    frames: Pixels
    state: Floats


@dataclass(frozen=True, slots=True)
class EventsOutput:
    """What the network says of each second, and what it remembers.

    Attributes:
        events: float32[B, 5], probabilities in the order of `EVENTS`, independent of each other.
        highlight: float32[B], 0 to 1.
        state: float32[B, ...], for the second that follows.
    """

    events: Floats
    highlight: Floats
    state: Floats


class VideoEventsPipeline(Pipeline[EventsInput, EventsInput, EventsOutput, EventsOutput]):
    """One recurrent network. Seconds of several streams share runs; those of one stream come one after the other.

    Attributes:
        height: of the frames, in pixels.
        width: of the frames, in pixels.
        frames_per_second: frames of one second.
    """

    def __init__(self, model: LoadedModel) -> None:
        manifest = model.manifest
        self.placement = manifest.placement.placement()
        self.max_batch = manifest.batching.max_batch
        self.cost_unit = manifest.batching.cost_unit
        self.height = manifest.limits["height"]
        self.width = manifest.limits["width"]
        self.frames_per_second = manifest.limits["frames_per_second"]
        self._state_shape = next(entry.shape[1:] for entry in manifest.inputs if entry.name == "state")
        self._is_counted_in_pixels = self.cost_unit == "pixels"
        self._model = model
        events = next(output.shape[-1] for output in manifest.outputs if output.name == "events")
        if events != len(EVENTS):
            raise ValueError(f"there are probabilities of {events} events, not {len(EVENTS)}")

    def first_state(self) -> Floats:
        """Return float32[...], the memory of a stream that begins."""
        return numpy.zeros(self._state_shape, numpy.float32)

    def is_state(self, state: Floats) -> bool:
        """Return whether an array is a memory of this network."""
        return list(state.shape) == list(self._state_shape)

    def prepare(self, request: EventsInput) -> Prepared[EventsInput]:
        """Take the seconds as they are."""
        rows = len(request.frames)
        cost = request.frames.size // 3 if self._is_counted_in_pixels else rows
        return Prepared([request], cost, None, [Size(rows, cost, request.frames.shape[1:])])

    def run(self, batch: EventsInput) -> EventsOutput:
        """Run the network once."""
        found = self._model.onnx.run({"frames": batch.frames, "state": batch.state})
        return EventsOutput(found["events"], found["highlight"], found["next_state"])

    def finish(self, prepared: Prepared[EventsInput], outputs: Sequence[EventsOutput]) -> EventsOutput:
        """Return the only output."""
        (output,) = outputs
        return output

    def join(self, batches: Sequence[EventsInput]) -> EventsInput:
        """Put seconds of several streams into one run."""
        return EventsInput(
            numpy.concatenate([batch.frames for batch in batches]),
            numpy.concatenate([batch.state for batch in batches]),
        )

    def split(self, output: EventsOutput, batches: Sequence[EventsInput]) -> Sequence[EventsOutput]:
        """Return each stream's part."""
        parts, row = [], 0
        for batch in batches:
            end = row + len(batch.frames)
            # A copy: a stream keeps its state for long, and a view would keep everyone's.
            parts.append(EventsOutput(output.events[row:end], output.highlight[row:end], output.state[row:end].copy()))
            row = end
        return parts
