"""Puts what a decoder finds into seconds, each complete before it is handed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy
import numpy.typing

from services.vision.video.decoding.messages import Clock, Cut, Ended, Frame, Message, Trouble

Pixels = numpy.typing.NDArray[numpy.uint8]


@dataclass(slots=True)
class Second:
    """Everything of one second.

    Attributes:
        index: which one, from the video's first frame.
        end: end in seconds; earlier than index + 1 in the last one only.
        event_frames: uint8[height, width, 3] each, in order.
        samples: times and uint8[height, width, 3] of frames for picture models.
        cuts: changes of scene.
        troubles: what could not be decoded.
    """

    index: int
    end: float = 0.0
    event_frames: list[Pixels] = field(default_factory=list)
    samples: list[tuple[float, Pixels]] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


class Timeline:
    """Collects messages and gives complete seconds, in order and without a hole.

    Args:
        start: the first second.
    """

    def __init__(self, start: int) -> None:
        self._next = start
        self._open: dict[int, Second] = {}

    def add(self, message: Message) -> Iterator[Second]:
        """Take a message and yield the seconds that it completes."""
        if isinstance(message, Frame):
            pixels = numpy.frombuffer(message.pixels, numpy.uint8).reshape(message.height, message.width, 3)
            second = self._second(message.time)
            if message.use == "events":
                second.event_frames.append(pixels)
            else:
                second.samples.append((message.time, pixels))
        elif isinstance(message, Cut):
            self._second(message.time).cuts.append(message)
        elif isinstance(message, Trouble):
            self._second(message.time).troubles.append(message)
        elif isinstance(message, Clock):
            while self._next + 1 <= message.time:
                yield self._complete(float(self._next + 1))
        elif isinstance(message, Ended):
            while self._next + 1 <= message.time:
                yield self._complete(float(self._next + 1))
            if message.time > self._next or self._open:
                yield self._complete(max(message.time, float(self._next)))

    def note(self, trouble: Trouble) -> None:
        """Take in a problem that is told with its second."""
        self._second(trouble.time).troubles.append(trouble)

    def _second(self, time: float) -> Second:
        index = max(int(time), self._next)
        return self._open.setdefault(index, Second(index))

    def _complete(self, end: float) -> Second:
        second = self._open.pop(self._next, None) or Second(self._next)
        second.end = end
        self._next += 1
        return second
