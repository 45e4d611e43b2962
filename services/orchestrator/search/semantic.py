"""Finds items by meaning: the cosine of the query's vector with those of the items' texts.

Every item is compared: 100,000 vectors of 384 numbers are one product of a matrix and a vector, some ten milliseconds
outside the interpreter, exact whatever the filter.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from services.orchestrator.catalog.snapshot import Floats, VectorColumn
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.steps import FALLBACKS, StepLog, describe_model

STEP = "search/semantic"
MOST_CHARACTERS = 300
"""What the model reads of a query: more says little more, and takes its time."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def readable(query: str) -> str:
    """Return what a sentence encoder for English is to read of a query: without characters that cannot be seen. Empty
    when less than half of the letters are Latin, or there are none.
    """
    seen = (" " if character.isspace() else character for character in query)
    text = " ".join("".join(one for one in seen if unicodedata.category(one) not in _UNSEEN).split())
    text = text[:MOST_CHARACTERS]
    letters = [character for character in text if character.isalpha()]
    latin = sum(1 for character in letters if unicodedata.name(character, "").startswith("LATIN"))
    if not letters and any(character.isdigit() for character in text):
        return text
    return text if letters and 2 * latin >= len(letters) else ""


async def query_vector(
    mesh: Mesh, column: VectorColumn, query: str, steps: StepLog, seconds: float, model: str = ""
) -> Floats | None:
    """Return the query's vector, float32[D]; None, with the reason in the step report, where the words must do.

    Args:
        mesh: the model services.
        column: the items' vectors, with which it is to be compared.
        query: what was typed.
        steps: where the step is reported.
        seconds: longest wait.
        model: what makes the vector; the text service's default when empty.
    """
    text = readable(query)
    if not text:
        steps.skip(STEP, "text", "the query has no word in a script that the model reads; its words alone decide")
        return None
    if not column.present.any():
        steps.skip(STEP, "text", "no item has a text vector yet")
        return None
    vector = None
    with steps.measure(STEP, "text") as report:
        reply = await mesh.embed_texts([text], seconds, model)
        describe_model(report, reply.report)
        vector = np.frombuffer(reply.vectors[0].values, "<f4")
        kind = (reply.report.model, reply.report.version, len(vector))
        if kind != (column.model, column.version, column.values.shape[1]):
            report.outcome = STEP_OUTCOME_FALLBACK
            report.detail = f"the items' vectors are still those of {column.model} {column.version}; {FALLBACKS[STEP]}"
            vector = None
    return vector


def cosines(column: VectorColumn, vector: Floats | None) -> Floats:
    """Return float32[N], the cosine of each item's text with the query; 0 for an item without a vector."""
    if vector is None:
        return np.zeros(len(column.values), np.float32)
    return column.values @ vector
