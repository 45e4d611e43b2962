"""What the service of the dummy model is asked: the text contract's vectors and candidates."""

from __future__ import annotations

from marquee.text.v1 import text_service_pb2 as pb
from tests.contract.cases.candidates import CandidateCases
from tests.contract.cases.kinds import Cases, GoodCall, IndependenceCase, unpack_vectors
from tests.contract.cases.text import EMBED, SERVICE, TEXTS, embed, embedding_bad_calls
from tests.support import dummy_model

SHORT_TEXTS = [text for text in TEXTS if len(text) < 1_000]


def cases() -> Cases:
    """Return everything the dummy service is asked."""
    candidates = CandidateCases(f"{SERVICE}/GenerateCandidates", pb.GenerateCandidatesRequest, ["words"])
    return Cases(
        good=[GoodCall("vectors", EMBED, embed(SHORT_TEXTS), dummy_model.NAME), *candidates.good()],
        bad=[*embedding_bad_calls(most=64, longest=1_000), *candidates.bad()],
        independence=[
            IndependenceCase(
                "vectors", EMBED, embed(SHORT_TEXTS), [embed([text]) for text in SHORT_TEXTS], unpack_vectors
            ),
            *candidates.independence(),
        ],
        scorers=["words"],
        models={dummy_model.NAME: dummy_model.VERSION},
    )
