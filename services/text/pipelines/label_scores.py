"""Score texts against the caller's labels by the cosine of their vectors: classification without training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import numpy.typing

from marquee.text.v1 import text_service_pb2 as pb
from services.runtime.validation import Violations

MAXIMUM_LABELS = 100
MAXIMUM_LABEL_CHARACTERS = 200
DEFAULT_TOP = 5


def check_labels(check: Violations, labels: Sequence[str], top_count: int) -> int:
    """Check the labels and return how many to report for each text."""
    if check.count("labels", labels, minimum=2, maximum=MAXIMUM_LABELS):
        for index, label in enumerate(labels):
            check.text(f"labels[{index}]", label, maximum=MAXIMUM_LABEL_CHARACTERS)
        check.unique("labels", labels)
    return min(check_top_count(check, top_count), len(labels))


def check_top_count(check: Violations, top_count: int) -> int:
    """Check how many labels are asked for and return how many that means at most."""
    return check.size("top_count", top_count, default=DEFAULT_TOP, maximum=MAXIMUM_LABELS)


def classify(
    vectors: numpy.typing.NDArray[numpy.float32], labels: Sequence[str], top_count: int, cut: Sequence[bool]
) -> list[pb.TextClassification]:
    """Return the best labels of each text.

    Args:
        vectors: float32[T + L, D] unit vectors, the texts' first, then the labels'.
        labels: the L labels.
        top_count: labels to return for each text, at most L.
        cut: of each text, whether its end was not read.
    """
    texts = len(vectors) - len(labels)
    scores = vectors[:texts] @ vectors[texts:].T
    # A stable sort keeps the caller's order among equal scores.
    order = numpy.argsort(-scores, axis=1, kind="stable")[:, :top_count]
    return [
        pb.TextClassification(
            labels=[pb.TextLabel(label=labels[column], score=float(scores[row, column])) for column in order[row]],
            truncated=cut[row],
        )
        for row in range(texts)
    ]
