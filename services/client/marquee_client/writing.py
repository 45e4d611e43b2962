"""What both clients share for writing: the options of a text, and requests made of plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from marquee.entertainment.v1 import writing_service_pb2 as writing_pb
from marquee.text.v1 import generation_pb2 as generation_pb

ReviewLike = writing_pb.Review | str | tuple[str, float | None]
"""A review as a message, as its text, or as text and rating."""


class WritingWishes(TypedDict, total=False):
    """Options of a written text; those left out have the contract's defaults."""

    style: writing_pb.WritingStyle.ValueType
    """How it sounds: WRITING_STYLE_PLAIN, WRITING_STYLE_WARM or WRITING_STYLE_LIVELY."""
    max_characters: int
    """Most characters, 40 to 2,000; 400 when left out."""
    rephrase: writing_pb.Rephrase.ValueType
    """REPHRASE_IF_FAITHFUL lets a language model put the facts into other words; its text must pass the check."""
    seed: int
    """Decides every choice: the same seed and facts give the same text."""
    locale: str
    """Language of the text; English only."""
    model: str
    """Decoder that rephrases."""
    kind: str
    """What the items are: "film", "game"; "title" when left out."""


class GenerationWishes(TypedDict, total=False):
    """Options of generated text; those left out have the contract's defaults."""

    max_tokens: int
    """Most tokens; 64 when left out."""
    temperature: float
    """How daring each choice is, 0 to 2; 0.8 when left out."""
    top_k: int
    """Draw only from so many most probable tokens."""
    top_p: float
    """Draw only from the fewest tokens that together are this probable."""
    repetition_penalty: float
    """Factor against repetition, 1 to 2."""
    stop: Iterable[str]
    """Texts that end the generation."""
    seed: int
    """The same seed gives the same text."""
    alternatives: int
    """Alternatives to report for each token."""
    log_probabilities: bool
    """Report the log-probability of each token."""


def review_messages(reviews: Iterable[ReviewLike]) -> list[writing_pb.Review]:
    """Return reviews as messages."""
    found = []
    for review in reviews:
        if isinstance(review, str):
            found.append(writing_pb.Review(text=review))
        elif isinstance(review, tuple):
            found.append(writing_pb.Review(text=review[0], rating=review[1]))
        else:
            found.append(review)
    return found


def generation_request(
    prompt: str, model: str, hold_back: bool, policy: str, wishes: GenerationWishes
) -> writing_pb.GenerateTextRequest:
    """Return the request of a generated text."""
    options = generation_pb.GenerationOptions(**wishes)
    return writing_pb.GenerateTextRequest(
        prompt=prompt, model=model, options=options, hold_back=hold_back, policy=policy
    )
