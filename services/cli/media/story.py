"""What came back of a clip, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import media_service_pb2 as pb

EVENTS: dict[int, str] = {
    media_pb2.GAMEPLAY_EVENT_SCORE: "score",
    media_pb2.GAMEPLAY_EVENT_KILL: "kill",
    media_pb2.GAMEPLAY_EVENT_DAMAGE: "damage",
    media_pb2.GAMEPLAY_EVENT_LIFE_LOST: "life lost",
    media_pb2.GAMEPLAY_EVENT_IDLE: "idle",
}
"""Names of events, in the order in which they are shown."""


@dataclass
class ClipStory:
    """A clip's answers so far.

    Attributes:
        name: name of the clip for people.
        file: the clip where it can be read again, for pictures of its frames; None of a pipe.
        info: what the clip is.
        segments: its seconds, in order.
        cuts: changes of scene, in order.
        problems: parts that could not be analysed.
        summary: the end; None until it came.
        truth: names of events that really happened, by second, where somebody knows.
    """

    name: str
    file: Path | None = None
    info: media_pb2.VideoInfo = field(default_factory=media_pb2.VideoInfo)
    segments: list[media_pb2.VideoSegment] = field(default_factory=list)
    cuts: list[media_pb2.SceneCut] = field(default_factory=list)
    problems: list[media_pb2.VideoProblem] = field(default_factory=list)
    summary: pb.ClipSummary | None = None
    truth: dict[int, set[str]] = field(default_factory=dict)

    def add(self, answer: pb.AnalyzeClipResponse) -> None:
        """Take one answer in."""
        match answer.WhichOneof("payload"):
            case "info":
                self.info = answer.info
            case "segment":
                self.segments.append(answer.segment)
            case "scene_cut":
                self.cuts.append(answer.scene_cut)
            case "problem":
                self.problems.append(answer.problem)
            case "summary":
                self.summary = answer.summary

    @property
    def start(self) -> float:
        """The first second analysed."""
        return self.segments[0].start_seconds if self.segments else self.info.start_seconds

    @property
    def end(self) -> float:
        """The end of the last second analysed."""
        return self.segments[-1].end_seconds if self.segments else self.info.start_seconds

    @property
    def highlights(self) -> list[pb.Highlight]:
        """The highlights, best first."""
        return list(self.summary.highlights) if self.summary is not None else []

    def moment(self, highlight: pb.Highlight) -> float:
        """Return the middle of a highlight's best second."""
        inside = [
            one
            for one in self.segments
            if one.start_seconds < highlight.end_seconds and one.end_seconds > highlight.start_seconds
        ]
        best = max(inside, key=lambda one: one.highlight, default=None)
        if best is None:
            return (highlight.start_seconds + highlight.end_seconds) / 2
        return (best.start_seconds + best.end_seconds) / 2

    def probability(self, second: int, event: str) -> float | None:
        """Return the probability of an event in a second; None where nothing was said of it."""
        for segment in self.segments:
            if int(segment.start_seconds) == second:
                for one in segment.events:
                    if EVENTS.get(one.event) == event:
                        return one.probability
        return None
