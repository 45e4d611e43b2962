"""What the text service is asked to write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import grpc

from marquee.text.v1 import generation_pb2 as pb
from tests.contract.cases.kinds import BadCall, CompanyCase, GoodCall, invalid_text

GENERATE = "/marquee.text.v1.TextService/GenerateText"
MODELS = {"decoder-language-model": "1", "recurrent-language-model": "1"}
PROMPTS = [
    "A retired detective returns for one last case.",
    "Space",
    "love " * 120,
    "Z\u00fcrich, \u6771\u4eac",
    "\U0001f3ac",
    "  padded\twith\nwhite space  ",
    "\u202e\u200b",
    "1977",
]
GREEDY: dict[str, Any] = {"temperature": 0.0, "seed": 1}


def ask(prompt: str = PROMPTS[0], model: str = "", **options: Any) -> pb.GenerateTextRequest:
    """Return a request for text."""
    return pb.GenerateTextRequest(prompt=prompt, model=model, options=pb.GenerationOptions(**{"seed": 5, **options}))


def good() -> list[GoodCall]:
    """Return calls that must be answered."""
    shaped: dict[str, Any] = {
        "top_k": 50,
        "top_p": 0.9,
        "repetition_penalty": 1.2,
        "stop": [".", "never met"],
        "alternatives": 3,
    }
    calls = [GoodCall("text by the default", GENERATE, ask(max_tokens=8), "decoder-language-model")]
    for model in MODELS:
        calls += [
            GoodCall(f"{model} writes", GENERATE, ask(model=model, max_tokens=24), model),
            GoodCall(f"{model} writes the most probable", GENERATE, ask(model=model, max_tokens=8, **GREEDY), model),
            GoodCall(f"{model} writes as it is told", GENERATE, ask(model=model, max_tokens=24, **shaped), model),
            GoodCall(f"{model} reads the longest prompt", GENERATE, ask("a b " * 25_000, model, max_tokens=2), model),
            GoodCall(f"{model} reads odd characters", GENERATE, ask("\x00\u202e\ufeff", model, max_tokens=2), model),
        ]
    return calls


def company() -> list[CompanyCase]:
    """Return calls that share runs."""
    return [
        CompanyCase(
            f"{model} writes for eight readers",
            GENERATE,
            [
                ask(prompt, model, max_tokens=16 + 4 * seed, seed=seed, log_probabilities=True)
                for seed, prompt in enumerate(PROMPTS)
            ],
        )
        for model in MODELS
    ]


def bad() -> Sequence[BadCall]:
    """Return calls that must be refused."""
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("negative tokens", "options.max_tokens", {"max_tokens": -1}),
        ("a negative top-k", "options.top_k", {"top_k": -1}),
        ("negative alternatives", "options.alternatives", {"alternatives": -(2**31)}),
        ("a negative temperature", "options.temperature", {"temperature": -1.0}),
        ("a temperature that is no number", "options.temperature", {"temperature": math.nan}),
        ("too high a temperature", "options.temperature", {"temperature": 2.5}),
        ("no probability at all", "options.top_p", {"top_p": 0.0}),
        ("an infinite probability", "options.top_p", {"top_p": math.inf}),
        ("a penalty below one", "options.repetition_penalty", {"repetition_penalty": 0.5}),
        ("nine stop texts", "options.stop", {"stop": [str(k) for k in range(9)]}),
        ("an empty stop text", "options.stop[1]", {"stop": ["a", ""]}),
        ("an endless stop text", "options.stop[0]", {"stop": ["x" * 101]}),
    ]
    return [
        *(BadCall(f"text with {name}", GENERATE, ask(**options), field=field) for name, field, options in wrong),
        BadCall("text without a prompt", GENERATE, ask(""), field="prompt"),
        BadCall("text with a blank prompt", GENERATE, ask(" \n\u3000"), field="prompt"),
        BadCall("text with a prompt of 1 MB", GENERATE, ask("x" * (1 << 20)), field="prompt"),
        BadCall("a prompt that is not UTF-8", GENERATE, invalid_text(ask("@@")), field="prompt"),
        BadCall("a stop text that is not UTF-8", GENERATE, invalid_text(ask(stop=["@@"])), field="options.stop[0]"),
        BadCall("text by an unknown model", GENERATE, ask(model="gpt"), grpc.StatusCode.NOT_FOUND, "model"),
        BadCall(
            "text by a model of vectors", GENERATE, ask(model="word-embedding"), grpc.StatusCode.NOT_FOUND, "model"
        ),
        BadCall("text with a passed deadline", GENERATE, ask(), grpc.StatusCode.DEADLINE_EXCEEDED, seconds=-1),
        BadCall(
            "text with a deadline that passes at work",
            GENERATE,
            ask("a b " * 20_000, "recurrent-language-model", max_tokens=2_048),
            grpc.StatusCode.DEADLINE_EXCEEDED,
            seconds=0.02,
        ),
    ]
