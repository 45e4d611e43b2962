from __future__ import annotations

import pytest

import marquee_client
from marquee.entertainment.v1 import writing_service_pb2 as pb
from marquee_client import AsyncMarqueeClient, MarqueeClient
from marquee_client.writing import ReviewLike
from services.runtime.errors import NotFound
from tests.unit.services.client.canned import CannedServer

REVIEWS: list[ReviewLike] = ["Lovely.", ("Dull.", 2.5), pb.Review(text="Fine.", rating=3)]


def test_what_is_asked_arrives(server: CannedServer) -> None:
    with MarqueeClient(server.target) as client:
        assert (
            client.explain_items("196", ["1", "2"], reason_count=2, style=pb.WRITING_STYLE_WARM).bundle_version == "v2"
        )
        client.explain_shown("token", rephrase=pb.REPHRASE_IF_FAITHFUL, model="mine")
        blurb = client.write_blurb("1", length=pb.BLURB_LENGTH_SHORT, variant_count=3, seed=7, kind="film")
        summary = client.summarize_reviews(REVIEWS, aspects=["plot", "cast"], subject="Heat", rating_scale=10)
        pieces = list(client.generate_text("Once", model="mine", hold_back=True, temperature=0.0, stop=["."]))
    assert blurb.variants[0].text == "A film."
    assert summary.review_count == 3
    assert [piece.text for piece in pieces] == ["Once", " upon"]
    why, shown, written, asked, generated = (request for _, request, _, _ in server.calls)
    assert (why.user_id, list(why.item_ids), why.reason_count) == ("196", ["1", "2"], 2)
    assert why.options.style == pb.WRITING_STYLE_WARM
    assert (shown.attribution_token, shown.options.model) == ("token", "mine")
    assert (written.variant_count, written.options.seed, written.options.kind) == (3, 7, "film")
    assert [review.HasField("rating") for review in asked.reviews] == [False, True, True]
    assert (list(asked.aspects), asked.subject, asked.rating_scale) == (["plot", "cast"], "Heat", 10)
    assert (generated.prompt, generated.model, generated.hold_back) == ("Once", "mine", True)
    assert generated.options.HasField("temperature")
    assert list(generated.options.stop) == ["."]


async def test_the_asynchronous_client_asks_the_same(server: CannedServer) -> None:
    async with AsyncMarqueeClient(server.target) as client:
        assert (await client.explain_items("196", ["1"])).bundle_version == "v2"
        assert (await client.explain_shown("token")).bundle_version == "v2"
        assert (await client.write_blurb("1")).variants[0].text == "A film."
        assert (await client.summarize_reviews(REVIEWS)).review_count == 3
        assert [piece.text async for piece in client.generate_text("Once")] == ["Once", " upon"]
    assert [name for name, *_ in server.calls] == [
        "ExplainItem",
        "ExplainItem",
        "WriteBlurb",
        "SummarizeReviews",
        "GenerateText",
    ]


def test_failures_are_the_clients_own(server: CannedServer) -> None:
    server.failures = [NotFound("model", "model", "nobody"), NotFound("item_id", "item", "x")]
    with MarqueeClient(server.target) as client:
        with pytest.raises(marquee_client.NotFound):
            list(client.generate_text("Once", model="nobody"))
        with pytest.raises(marquee_client.NotFound):
            client.write_blurb("x")
