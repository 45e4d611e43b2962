"""Fast search: words together with static word vectors, through gRPC with the committed models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK, STEP_OUTCOME_SKIPPED
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import search_service_pb2 as pb
from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceStub
from marquee.entertainment.v1.search_service_pb2_grpc import SearchServiceStub
from tests.support.content_mesh import content_mesh

FILMS = {
    "heat": "A detective hunts a gang of bank robbers.",
    "wall-e": "A small robot left alone on Earth follows a probe through space.",
    "babe": "A pig learns to herd sheep on a farm.",
}


async def fill(channel: grpc.aio.Channel, **films: str) -> None:
    stub: Any = CatalogServiceStub(channel)
    items = [catalog_pb.Item(item_id=name, title=name.title(), description=text) for name, text in films.items()]
    await stub.UpsertItems(catalog_pb.UpsertItemsRequest(items=items))


async def fast(channel: grpc.aio.Channel, query: str) -> pb.SearchResponse:
    stub: Any = SearchServiceStub(channel)
    reply: pb.SearchResponse = await stub.Search(pb.SearchRequest(query=query, mode=pb.SEARCH_MODE_FAST))
    return reply


def outcomes(reply: pb.SearchResponse) -> dict[str, int]:
    return {step.step: step.outcome for step in reply.steps if step.step.startswith("search/")}


async def test_it_finds_by_meaning_without_a_shared_word_and_names_the_static_model(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_classical=False) as mesh:
        await fill(mesh.orchestrator, **FILMS)
        reply = await fast(mesh.orchestrator, "cattle and lambs")
        assert [item.item_id for item in reply.items] == ["babe"]
        assert reply.items[0].lexical_score == 0
        (step,) = [step for step in reply.steps if step.step == "search/semantic"]
        assert step.model == "word-embedding"
        assert not reply.degraded


async def test_a_change_of_the_catalogue_counts_at_once(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_classical=False) as mesh:
        await fill(mesh.orchestrator, **FILMS)
        await fast(mesh.orchestrator, "androids and spaceships")
        await fill(mesh.orchestrator, babe="An android pilots a spaceship.", alien="Astronauts meet a monster.")
        found = [item.item_id for item in (await fast(mesh.orchestrator, "androids and spaceships")).items]
        assert found[0] == "babe"
        assert (await fast(mesh.orchestrator, "astronaut monsters")).items[0].item_id == "alien"


async def test_a_query_in_another_script_is_left_to_its_words(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_classical=False) as mesh:
        await fill(mesh.orchestrator, **FILMS)
        reply = await fast(mesh.orchestrator, "機器人")
        assert not reply.items
        assert outcomes(reply)["search/semantic"] == STEP_OUTCOME_SKIPPED
        assert not reply.degraded


async def test_without_the_text_service_words_decide(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_text=False, with_classical=False) as mesh:
        await fill(mesh.orchestrator, **FILMS)
        reply = await fast(mesh.orchestrator, "heta")
        assert [item.item_id for item in reply.items] == ["heat"]
        assert outcomes(reply) == {"search/lexical": STEP_OUTCOME_OK, "search/word-vectors": STEP_OUTCOME_FALLBACK}
        assert reply.degraded
