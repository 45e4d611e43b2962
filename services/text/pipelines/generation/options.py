"""What a caller asks for, checked: every mistake is told with its field and limit."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from marquee.text.v1 import generation_pb2 as pb
from services.runtime.validation import Violations
from services.text.pipelines.generation.sampling import SamplingOptions

MAXIMUM_PROMPT_CHARACTERS = 100_000
DEFAULT_TOKENS, MAXIMUM_TOKENS = 64, 2_048
MAXIMUM_TOP_K = 1_000
MAXIMUM_STOPS, MAXIMUM_STOP_CHARACTERS = 8, 100
MAXIMUM_ALTERNATIVES = 20
DEFAULT_TEMPERATURE, MAXIMUM_TEMPERATURE = 0.8, 2.0
MAXIMUM_PENALTY = 2.0
_SEEDS = 64


@dataclass(frozen=True, slots=True)
class Generation:
    """One checked request.

    Attributes:
        prompt: text to go on from.
        maximum_tokens: most tokens to generate.
        stops: texts that end the text.
        seed: decides every draw.
        sampling: how tokens are chosen.
    """

    prompt: str
    maximum_tokens: int
    stops: Sequence[str]
    seed: int
    sampling: SamplingOptions


def read_request(request: pb.GenerateTextRequest) -> Generation:
    """Check a request and fill in what it leaves open.

    Raises:
        InvalidRequest: names every field that is wrong, and its limit.
    """
    asked, check = request.options, Violations()
    check.text("prompt", request.prompt, maximum=MAXIMUM_PROMPT_CHARACTERS)
    maximum_tokens = check.size("options.max_tokens", asked.max_tokens, default=DEFAULT_TOKENS, maximum=MAXIMUM_TOKENS)
    top_k = check.size("options.top_k", asked.top_k, default=0, maximum=MAXIMUM_TOP_K)
    alternatives = check.size("options.alternatives", asked.alternatives, default=0, maximum=MAXIMUM_ALTERNATIVES)
    temperature = asked.temperature if asked.HasField("temperature") else DEFAULT_TEMPERATURE
    check.within("options.temperature", temperature, 0, MAXIMUM_TEMPERATURE)
    top_p = asked.top_p if asked.HasField("top_p") else 1.0
    if check.within("options.top_p", top_p, 0, 1) and top_p == 0:
        check.add("options.top_p", "is 0; the range is above 0 to 1")
    penalty = asked.repetition_penalty if asked.HasField("repetition_penalty") else 1.0
    check.within("options.repetition_penalty", penalty, 1, MAXIMUM_PENALTY)
    if check.count("options.stop", asked.stop, minimum=0, maximum=MAXIMUM_STOPS):
        for index, stop in enumerate(asked.stop):
            check.text(f"options.stop[{index}]", stop, maximum=MAXIMUM_STOP_CHARACTERS, blank=True)
    check.raise_if_any()
    return Generation(
        request.prompt,
        maximum_tokens,
        tuple(asked.stop),
        asked.seed if asked.HasField("seed") else secrets.randbits(_SEEDS),
        SamplingOptions(temperature, top_k, top_p, penalty, asked.log_probabilities, alternatives),
    )
