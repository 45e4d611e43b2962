"""A picture attached to an item counts in the very next list, similar list and search, on either store, with the model
services and a bundle behind them.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from marquee.entertainment.v1 import bundle_service_pb2 as bundle_pb
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import search_service_pb2 as search_pb
from tests.support.bundles import ITEMS, write_bundle
from tests.support.colour_vision import colour_vision
from tests.support.content_mesh import content_mesh
from tests.support.dummy_image_model import NAME as COLOURS_MODEL
from tests.support.dummy_image_model import write_image_model
from tests.support.dummy_model import edit_manifest
from tests.support.tenant_caller import Caller

ROOT = Path(__file__).parents[5]
RED, BLUE = (220, 20, 20), (20, 20, 220)
LIKED = ITEMS[7]
NEW = ("new-1", "new-2")
"""Items that the bundle does not know: the first gets a picture unlike what is liked, the second one like it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, store_path: Path) -> str:
    """An empty store of each kind in turn."""
    return f"sqlite:///{store_path}" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def caller(tmp_path: Path, store_url: str) -> AsyncIterator[Caller]:
    """A catalogue with a serving bundle, and two items that came after it. Ann likes one with a red picture."""
    write_image_model(tmp_path / "models")
    # The other services need a model of their own to serve; nothing is asked of these.
    for family, name in (("text", "word-embedding-sentiment"), ("classical", "return-svm")):
        folder = tmp_path / family / name
        shutil.copytree(ROOT / "services" / family / "models" / name, folder)
        edit_manifest(folder / "1", lambda document: document.update(required=True))
    write_bundle(tmp_path / "bundles", "v1")
    async with (
        colour_vision(tmp_path, default_game_model=COLOURS_MODEL) as vision,
        content_mesh(
            tmp_path,
            vision_address=vision.address,
            store_url=store_url,
            classical_options={"model_repository": tmp_path / "classical"},
            model_repository=tmp_path / "text",
            default_model="word-embedding-sentiment",
        ) as mesh,
    ):
        caller = Caller(mesh.orchestrator, "default")
        items = [catalog_pb.Item(item_id=item_id, title=f"Title {item_id}") for item_id in (*ITEMS, *NEW)]
        items[ITEMS.index(LIKED)].picture = picture(RED)
        await caller.ask("CatalogService.UpsertItems", catalog_pb.UpsertItemsRequest(items=items))
        like = event_pb.Event(event_id="e1", user_id="ann", item_id=LIKED, kind=event_pb.EVENT_KIND_LIKE)
        await caller.ask("EventService.WriteEvents", event_pb.WriteEventsRequest(events=[like]))
        await caller.ask("BundleService.ActivateBundle", bundle_pb.ActivateBundleRequest(version="v1"))
        yield caller


def picture(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(numpy.full((48, 48, 3), colour, numpy.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


async def attach(caller: Caller, item_id: str, colour: tuple[int, int, int]) -> pb.AttachmentResult:
    request = pb.AnalyzeImageRequest(
        image=picture(colour), features=[pb.MEDIA_FEATURE_LABELS], attach=pb.MediaAttachment(item_id=item_id)
    )
    reply: pb.AnalyzeImageResponse = await caller.one("MediaService.AnalyzeImage", request)
    return reply.attachment


async def found(caller: Caller, query: str) -> list[str]:
    reply = await caller.one("SearchService.Search", search_pb.SearchRequest(query=query))
    return [item.item_id for item in reply.items]


async def similar(caller: Caller, item_id: str) -> list[Any]:
    request = recommendation_pb.SimilarItemsRequest(item_id=item_id, page_size=5)
    return list((await caller.one("RecommendationService.SimilarItems", request)).items)


async def listed(caller: Caller) -> dict[str, Any]:
    request = recommendation_pb.RecommendRequest(user_id="ann", page_size=8, diversity=0)
    reply = await caller.one("RecommendationService.Recommend", request)
    return {item.item_id: item for item in reply.items}


async def test_a_picture_counts_at_once_everywhere(caller: Caller) -> None:
    assert not await found(caller, "red")
    before = await listed(caller)
    assert not {reason.item_id for item_id in NEW if item_id in before for reason in before[item_id].reasons} - {""}

    assert list((await attach(caller, NEW[0], BLUE)).added_tags) == ["blue"]
    assert list((await attach(caller, NEW[1], RED)).added_tags) == ["red"]

    # Search by what it shows.
    assert await found(caller, "red") == [NEW[1]]
    assert await found(caller, "blue") == [NEW[0]]
    # The list of who likes something that looks like it, though nobody has seen it; it says why.
    now = await listed(caller)
    assert list(now[NEW[1]].sources) == ["fresh"]
    assert list(now[NEW[1]].tags) == ["red"]
    assert now[NEW[1]].reasons[0].text == f"New, and it resembles Title {LIKED}"
    assert NEW[0] not in now or now[NEW[0]].position > now[NEW[1]].position
    # What is like it, both ways among items that the bundle does not know.
    assert (await similar(caller, NEW[1]))[0].item_id == LIKED
    item = (await caller.one("CatalogService.GetItem", catalog_pb.GetItemRequest(item_id=NEW[1]))).item
    assert (list(item.tags), list(item.picture_labels)) == (["red"], ["red"])

    # Nobody else's.
    stranger = Caller(caller.channel, "films")
    assert not await found(stranger, "red")
    request = pb.AnalyzeImageRequest(image=picture(RED), features=[pb.MEDIA_FEATURE_SIMILAR_ITEMS])
    assert not (await stranger.one("MediaService.AnalyzeImage", request)).analysis.similar_items

    # A second picture takes the place of the first one's vector; tags stay, since they are the operator's by then.
    await attach(caller, NEW[0], RED)
    assert LIKED in {item.item_id for item in (await similar(caller, NEW[0]))[:2]}
    assert set(await found(caller, "red")) == set(NEW)
    assert await found(caller, "blue") == [NEW[0]]
