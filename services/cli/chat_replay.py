"""A chat sent through live moderation, and what was decided on it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from marquee_client import MarqueeClient

# A real chat does not send all its messages at once; with more on their way they would only wait for each other.
MESSAGES_ON_THEIR_WAY = 64
_EXAMPLES = 200


@dataclass(frozen=True)
class Example:
    """A message and the decision on it."""

    text: str
    decision: pb.ModerationDecision


@dataclass
class Replay:
    """What was decided on a chat.

    Attributes:
        actions: one a message, in their order.
        reasons: how often each reason was given, by its code and the action of the message.
        delays: seconds from sending a message to its decision, in their order.
        examples: the first messages that were not allowed, or held a disguised word.
        disguised: messages with a disguised word.
        errors: messages that were no valid message.
        degraded: messages on which a model did not answer.
        seconds: from the first message sent to the last decision.
    """

    actions: list[int] = field(default_factory=list)
    reasons: Counter[tuple[str, int]] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    disguised: int = 0
    errors: int = 0
    degraded: int = 0
    seconds: float = 0.0

    def share(self, action: int) -> float:
        """Return the share of the messages with that action, 0 to 1."""
        return self.actions.count(action) / max(1, len(self.actions))


def replay_chat(
    client: MarqueeClient, lines: Sequence[str], policy: str, advance: Callable[[], None] = lambda: None
) -> Replay:
    """Send the lines through the live stream and return what was decided.

    Args:
        client: a connected client.
        lines: messages.
        policy: policy that decides.
        advance: called after each decision.
    """
    replay = Replay()
    sent: list[float] = []
    room = threading.Semaphore(MESSAGES_ON_THEIR_WAY)

    def messages() -> Iterator[tuple[str, str]]:
        for number, line in enumerate(lines):
            room.acquire()
            sent.append(time.monotonic())
            yield str(number), line

    begun = time.monotonic()
    try:
        for number, answer in enumerate(client.moderate_chat(messages(), policy=policy)):
            replay.delays.append(time.monotonic() - sent[number])
            room.release()
            _add(replay, lines[number], answer)
            advance()
    finally:
        # A sender who waits would keep the process from ending.
        room.release(len(lines) + 1)
    replay.seconds = time.monotonic() - begun
    return replay


def _add(replay: Replay, line: str, answer: pb.StreamModerateTextResponse) -> None:
    decision = answer.decision
    replay.errors += bool(answer.error)
    replay.degraded += answer.degraded
    replay.actions.append(decision.action)
    replay.reasons.update({(reason.code, decision.action) for reason in decision.reasons})
    replay.disguised += bool(decision.read_as)
    noteworthy = decision.read_as or decision.action > pb.MODERATION_ACTION_ALLOW
    if noteworthy and len(replay.examples) < _EXAMPLES:
        replay.examples.append(Example(line, decision))
