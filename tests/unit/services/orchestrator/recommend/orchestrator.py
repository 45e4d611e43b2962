"""The parts of an orchestrator that recommends, with time limits that a loaded machine keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from marquee.entertainment.v1.bundle_service_pb2_grpc import add_BundleServiceServicer_to_server
from marquee.entertainment.v1.recommendation_service_pb2_grpc import add_RecommendationServiceServicer_to_server
from marquee.entertainment.v1.route_service_pb2_grpc import add_RouteServiceServicer_to_server
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.pipeline import Recommender
from services.orchestrator.recommend.reading import Reader
from services.orchestrator.recommend.similar import SimilarItems
from services.orchestrator.recommend.slate_tokens import TokenSigner
from services.orchestrator.recommend.slates import SlateLog
from services.orchestrator.recommend.trends import Trends
from services.orchestrator.servicers.bundle import BundleServicer
from services.orchestrator.servicers.recommendation import RecommendationServicer
from services.orchestrator.servicers.route import RouteServicer
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import ItemWrite
from services.runtime.server import ServiceDefinition
from tests.support.bundles import ITEMS
from tests.unit.services.orchestrator.builders import event, item

TENANT = "default"
PATIENCE = 20.0
KEY = "the key of the tests, long enough"
# What each item of the bundle is about; every third item is for adults.
TAGS = ("space", "west", "war", "love")


class Orchestrator:
    """Everything between the store, the mesh and the servicers."""

    def __init__(self, store: Store, mesh: Mesh, **settings: Any) -> None:
        defaults = {"recommend_deadline_seconds": 3 * PATIENCE, "candidate_seconds": PATIENCE}
        self.settings = OrchestratorSettings(
            **{
                "port": 0,
                "drain_seconds": 0,
                "ranking_seconds": PATIENCE,
                "history_seconds": PATIENCE,
                "slate_seconds": PATIENCE,
                **defaults,
                **settings,
            }
        )
        self.store = store
        self.snapshots = CatalogSnapshots(store, statistics_interval_seconds=3600)
        self.bundles = BundleKeeper(store, mesh, check_seconds=3600, load_seconds=PATIENCE)
        self.signer = TokenSigner([KEY])
        self.slates = SlateLog(store, self.signer, self.settings.page_seconds, self.settings.slate_days)
        self.trends = Trends(store, self.settings.trend_half_life_days)
        self.recommender = Recommender(
            Reader(store, self.snapshots, self.settings), mesh, self.bundles, self.settings, self.slates, self.trends
        )
        self.similar = SimilarItems(store, self.snapshots, mesh, self.bundles, self.settings)

    def definition(self) -> ServiceDefinition:
        """Describe it to a server."""

        def attach(server: grpc.aio.Server) -> None:
            servicer = RecommendationServicer(self.recommender, self.similar)
            add_RecommendationServiceServicer_to_server(servicer, server)
            add_BundleServiceServicer_to_server(BundleServicer(self.store, self.bundles), server)
            add_RouteServiceServicer_to_server(RouteServicer(self.store, self.bundles), server)

        async def start() -> Sequence[str]:
            return []

        return ServiceDefinition("orchestrator", [], attach, start, self.close)

    async def serve(self, version: str) -> None:
        """Have a bundle loaded wherever a service runs, and make it the serving one."""
        await self.bundles.load_everywhere(TENANT, version)
        await self.store.set_bundle(TENANT, version, expected=(await self.store.bundle_pointer(TENANT)).version)

    async def close(self) -> None:
        """Stop what runs in the background."""
        await self.trends.close()
        await self.snapshots.close()


def catalogue_item(number: int, **fields: object) -> ItemWrite:
    """Return an item of the bundle as it stands in the store."""
    defaults: dict[str, object] = {"tags": (TAGS[number % len(TAGS)],), "maturity_age": 18 if number % 3 == 0 else 6}
    return item(ITEMS[number], **(defaults | fields))


async def fill_catalogue(store: Store) -> None:
    """Write the items of the bundle; the lower its number, the more an item is liked."""
    await store.upsert_items(TENANT, [catalogue_item(number) for number in range(len(ITEMS))])
    fans = [
        event(f"fan-{number}-{fan}", user_id=f"fan-{fan}", item_id=ITEMS[number])
        for number in range(len(ITEMS))
        for fan in range(len(ITEMS) - number)
    ]
    await store.write_events(TENANT, fans)


async def like(store: Store, user_id: str, *item_ids: str) -> None:
    """Write likes, oldest first, all newer than what the user has."""
    so_far = (await store.event_totals(TENANT)).count
    await store.write_events(
        TENANT,
        [
            event(f"like-{so_far + place}", user_id=user_id, item_id=item_id, event_time=10_000 + so_far + place)
            for place, item_id in enumerate(item_ids)
        ],
    )
