"""What the text service is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from marquee.text.v1 import text_service_pb2 as pb
from tests.contract.cases import generation
from tests.contract.cases.candidates import CandidateCases
from tests.contract.cases.kinds import (
    Answer,
    BadCall,
    Cases,
    GoodCall,
    IndependenceCase,
    invalid_text,
    unpack_vectors,
)

SERVICE = "/marquee.text.v1.TextService"
EMBED, CLASSIFY = f"{SERVICE}/EmbedText", f"{SERVICE}/ClassifyText"
UNDERSTAND = f"{SERVICE}/UnderstandText"
MODELS = {"minilm-sentence-vectors": "1", "word-embedding": "1"}
UNDERSTANDING_MODELS = {
    "minilm-understanding": "1",
    "minilm-sentiment": "1",
    "recurrent-sentiment": "1",
    "word-embedding-sentiment": "1",
}
MESSAGE_LIMIT = 4 << 20

# Several of one length, many lengths, one beyond every model's token limit, and other scripts.
TEXTS = [
    "A retired detective returns for one last case.",
    "Space war.",
    "Two robots fall in love on a space station.",
    "alien",
    "dragon",
    "A heist in the old west, told backwards by its only survivor, who may be lying about all of it.",
    "love " * 700,
    "Zürich, 東京, Санкт-Петербург",
    "🎬🍿",
    "  padded\twith\nwhite space  ",
]
LABELS = ["science fiction", "romantic comedy", "crime drama", "western"]

# Passes for text but may hold no token at all.
ODD_TEXTS = ["\u200b", "\u00ad", "…", "\u0301", "\ufeff", "🫠"]


def embed(texts: Sequence[str], model: str = "") -> pb.EmbedTextRequest:
    """Return a request for vectors."""
    return pb.EmbedTextRequest(texts=texts, model=model)


def classify(
    texts: Sequence[str] = TEXTS, labels: Sequence[str] = LABELS, model: str = "", **options: Any
) -> pb.ClassifyTextRequest:
    """Return a request for labels."""
    return pb.ClassifyTextRequest(texts=texts, labels=labels, model=model, **options)


def labels_of(reply: Any) -> list[Answer]:
    """Take the labels out of a reply."""
    return [
        Answer(labels=[one.label for one in result.labels], scores=[one.score for one in result.labels])
        for result in reply.results
    ]


def embedding_bad_calls(method: str = EMBED, most: int = 256, longest: int = 10_000) -> list[BadCall]:
    """Return calls for vectors that must be refused."""
    return [
        BadCall("no text", method, embed([]), field="texts"),
        BadCall("an empty text", method, embed(["a", ""]), field="texts[1]"),
        BadCall("a blank text", method, embed(["a", "b", " \t\n\u3000"]), field="texts[2]"),
        BadCall("an over-long text", method, embed(["x" * (longest + 1)]), field="texts[0]"),
        BadCall("too many texts", method, embed(["x"] * (most + 1)), field="texts"),
        BadCall("text that is not UTF-8", method, invalid_text(embed(["a", "@@"])), field="texts[1]"),
        BadCall("a model name that is not UTF-8", method, invalid_text(embed(["a"], "@@")), field="model"),
        BadCall("bytes that are no message", method, b"\xff\xff\xff\xff", field="request", reason="INVALID_MESSAGE"),
        BadCall("an unknown model", method, embed(["a"], "gpt"), grpc.StatusCode.NOT_FOUND, "model", "MODEL_NOT_FOUND"),
        BadCall("an endless model name", method, embed(["a"], "🎬" * 9_000), grpc.StatusCode.NOT_FOUND, "model"),
        BadCall(
            "an oversize message",
            method,
            embed(["x" * (MESSAGE_LIMIT + 1)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "request",
            "MESSAGE_TOO_LARGE",
        ),
        BadCall(
            "a message that the transport refuses",
            method,
            embed(["x" * (MESSAGE_LIMIT * 2 + 1)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
        BadCall("a passed deadline", method, embed(["a"]), grpc.StatusCode.DEADLINE_EXCEEDED, seconds=-1),
        BadCall(
            "a deadline that passes at work",
            method,
            embed(["word " * 200] * most if most > 64 else ["word"] * most),
            grpc.StatusCode.DEADLINE_EXCEEDED,
            seconds=0.001,
        ),
    ]


def classification_bad_calls() -> list[BadCall]:
    """Return calls for labels that must be refused."""
    return [
        BadCall("labels for no text", CLASSIFY, classify([]), field="texts"),
        BadCall("one label", CLASSIFY, classify(labels=["a"]), field="labels"),
        BadCall("no label", CLASSIFY, classify(labels=[]), field="labels"),
        BadCall(
            "no label for a model of vectors", CLASSIFY, classify(labels=[], model="word-embedding"), field="labels"
        ),
        BadCall("101 labels", CLASSIFY, classify(labels=[str(number) for number in range(101)]), field="labels"),
        BadCall("a blank label", CLASSIFY, classify(labels=["a", " "]), field="labels[1]"),
        BadCall("an over-long label", CLASSIFY, classify(labels=["a", "x" * 201]), field="labels[1]"),
        BadCall("a label twice", CLASSIFY, classify(labels=["a", "b", "a"]), field="labels[2]"),
        BadCall("a negative count", CLASSIFY, classify(top_count=-1), field="top_count"),
        BadCall("a hugely negative count", CLASSIFY, classify(top_count=-(2**31)), field="top_count"),
        BadCall("a label that is not UTF-8", CLASSIFY, invalid_text(classify(labels=["a", "@@"])), field="labels[1]"),
        BadCall("labels by an unknown model", CLASSIFY, classify(model="gpt"), grpc.StatusCode.NOT_FOUND, "model"),
    ]


def understand(texts: Sequence[str] = TEXTS, model: str = "", **options: Any) -> pb.UnderstandTextRequest:
    """Return a request for understanding."""
    return pb.UnderstandTextRequest(texts=texts, model=model, **options)


def understanding_of(reply: Any) -> list[Answer]:
    """Take what was said of each text: emotions and kinds of toxicity best first, then all numbers by name."""
    answers = []
    for result in reply.results:
        named = {each.label: each.probability for each in result.emotions}
        named |= {each.category: each.probability for each in result.toxicity}
        scores = [result.sentiment.score, result.sentiment.positive_probability]
        answers.append(Answer(scores=[*scores, *(named[name] for name in sorted(named))]))
    return answers


def understanding_bad_calls() -> list[BadCall]:
    """Return calls for understanding that must be refused."""
    emotion = pb.UNDERSTANDING_TASK_EMOTION
    return [
        BadCall("nothing to understand", UNDERSTAND, understand([]), field="texts"),
        BadCall("a blank text to understand", UNDERSTAND, understand(["a", " "]), field="texts[1]"),
        BadCall("an over-long text to understand", UNDERSTAND, understand(["x" * 10_001]), field="texts[0]"),
        BadCall("a task that is none", UNDERSTAND, understand(tasks=[0]), field="tasks[0]"),
        BadCall("a task that nobody knows", UNDERSTAND, understand(tasks=[emotion, 99]), field="tasks[1]"),
        BadCall(
            "a task that the model does not do",
            UNDERSTAND,
            understand(model="recurrent-sentiment", tasks=[emotion]),
            field="tasks[0]",
        ),
        BadCall(
            "understanding by a model of vectors",
            UNDERSTAND,
            understand(model="word-embedding"),
            grpc.StatusCode.NOT_FOUND,
            "model",
        ),
        BadCall("understanding, not UTF-8", UNDERSTAND, invalid_text(understand(["a", "@@"])), field="texts[1]"),
    ]


def cases() -> Cases:
    """Return everything the text service is asked."""
    candidates = CandidateCases(f"{SERVICE}/GenerateCandidates", pb.GenerateCandidatesRequest, ["words"])
    good = [GoodCall("vectors by the default", EMBED, embed(TEXTS[:1]), "minilm-sentence-vectors")]
    independence = []
    for model in MODELS:
        good += [
            GoodCall(f"{model} vectors", EMBED, embed(TEXTS, model), model),
            GoodCall(f"{model} vectors of odd texts", EMBED, embed(ODD_TEXTS, model), model),
            GoodCall(f"{model} labels", CLASSIFY, classify(model=model), model),
            GoodCall(
                f"{model} labels, a huge count", CLASSIFY, classify(TEXTS[:2], model=model, top_count=2**31 - 1), model
            ),
        ]
        independence += [
            IndependenceCase(
                f"{model} vectors", EMBED, embed(TEXTS, model), [embed([text], model) for text in TEXTS], unpack_vectors
            ),
            IndependenceCase(
                f"{model} labels",
                CLASSIFY,
                classify(model=model),
                [classify([text], model=model) for text in TEXTS],
                labels_of,
            ),
        ]
    for model in UNDERSTANDING_MODELS:
        good += [
            GoodCall(f"{model} understands", UNDERSTAND, understand(model=model), model),
            GoodCall(f"{model} understands odd texts", UNDERSTAND, understand(ODD_TEXTS, model), model),
        ]
        independence.append(
            IndependenceCase(
                f"{model} understands",
                UNDERSTAND,
                understand(model=model),
                [understand([text], model) for text in TEXTS],
                understanding_of,
            )
        )
    good.append(GoodCall("understanding by the default", UNDERSTAND, understand(), "minilm-understanding"))
    return Cases(
        good=[*good, *generation.good(), *candidates.good()],
        bad=[
            *embedding_bad_calls(),
            *classification_bad_calls(),
            *understanding_bad_calls(),
            *generation.bad(),
            *candidates.bad(),
        ],
        independence=[*independence, *candidates.independence()],
        scorers=["words"],
        models={**MODELS, **UNDERSTANDING_MODELS, **generation.MODELS},
        company=generation.company(),
    )
