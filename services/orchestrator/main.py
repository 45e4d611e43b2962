"""Start the orchestrator: `python -m services.orchestrator.main`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from marquee.entertainment.v1 import (
    bundle_service_pb2_grpc,
    catalog_service_pb2_grpc,
    content_service_pb2_grpc,
    event_service_pb2_grpc,
    experiment_service_pb2_grpc,
    insight_service_pb2_grpc,
    media_service_pb2_grpc,
    moderation_service_pb2_grpc,
    recommendation_service_pb2_grpc,
    route_service_pb2_grpc,
    search_service_pb2_grpc,
    user_service_pb2_grpc,
    writing_service_pb2_grpc,
)
from services.orchestrator.answer_metrics import AnswerMetrics, counting_attachment
from services.orchestrator.catalog.backfill import VectorBackfill
from services.orchestrator.catalog.mesh_models import MeshContentModels
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.channels import tls_files
from services.orchestrator.content.analysis import TextAnalyzer
from services.orchestrator.content.language import load_tables_soon
from services.orchestrator.content.media.attachment import Attacher
from services.orchestrator.content.media.clip import ClipAnalyzer
from services.orchestrator.content.media.clip_summary import ClipSummaries
from services.orchestrator.content.media.image import ImageAnalyzer
from services.orchestrator.content.media.similar import SimilarPictures
from services.orchestrator.content.moderation.moderator import Moderator
from services.orchestrator.content.writing.blurbs import Blurbs
from services.orchestrator.content.writing.explanations import Explanations
from services.orchestrator.content.writing.generation import Generation
from services.orchestrator.content.writing.rephrasing import Rephraser
from services.orchestrator.content.writing.reviews.summaries import ReviewSummaries
from services.orchestrator.content.writing.writer import ItemWriter
from services.orchestrator.events.event_checks import EventChecks
from services.orchestrator.insight.user_insight import UserInsights
from services.orchestrator.maintenance import StoreMaintenance
from services.orchestrator.mesh import Mesh
from services.orchestrator.recommend.bundle_keeper import BundleKeeper
from services.orchestrator.recommend.item_reasons import ItemExplainer
from services.orchestrator.recommend.pipeline import Recommender
from services.orchestrator.recommend.reading import Reader
from services.orchestrator.recommend.similar import SimilarItems
from services.orchestrator.recommend.slate_tokens import TokenSigner
from services.orchestrator.recommend.slates import SlateLog
from services.orchestrator.recommend.trends import Trends
from services.orchestrator.search.indexes import SearchIndexes
from services.orchestrator.search.pages import SearchPages
from services.orchestrator.search.searcher import Searcher
from services.orchestrator.search.word_vectors import WordVectors
from services.orchestrator.servicers.bundle import BundleServicer
from services.orchestrator.servicers.catalog import CatalogServicer
from services.orchestrator.servicers.content import ContentServicer
from services.orchestrator.servicers.event import EventServicer
from services.orchestrator.servicers.experiment import ExperimentServicer
from services.orchestrator.servicers.insight import InsightServicer
from services.orchestrator.servicers.media import MediaServicer
from services.orchestrator.servicers.moderation import ModerationServicer
from services.orchestrator.servicers.recommendation import RecommendationServicer
from services.orchestrator.servicers.route import RouteServicer
from services.orchestrator.servicers.search import SearchServicer
from services.orchestrator.servicers.user import UserServicer
from services.orchestrator.servicers.writing import WritingServicer
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.orchestrator.store.factory import UnsupportedStore, open_store
from services.orchestrator.store.measured import measured
from services.orchestrator.token_keys import token_keys
from services.runtime.errors import ServiceError
from services.runtime.observability.accumulators import Counters
from services.runtime.observability.metrics import Metrics
from services.runtime.server import ServiceDefinition, run_service
from services.runtime.startup import CannotStart, read_settings
from services.runtime.telemetry import Telemetry

CONTRACTS = [
    f"marquee.entertainment.v1.{name}"
    for name in (
        "RecommendationService",
        "InsightService",
        "ExperimentService",
        "CatalogService",
        "EventService",
        "UserService",
        "BundleService",
        "RouteService",
        "ContentService",
        "ModerationService",
        "MediaService",
        "SearchService",
        "WritingService",
    )
]


async def _open_store(settings: OrchestratorSettings) -> Store:
    try:
        return await open_store(
            settings.store_url,
            busy_timeout_seconds=settings.store_wait_seconds,
            connections=settings.store_connections,
            statement_timeout_seconds=settings.store_statement_seconds,
        )
    except (UnsupportedStore, ServiceError) as error:
        raise CannotStart(f"cannot open the store: {error}") from error


def _report(metrics: Metrics, bundles: BundleKeeper, events: Counters) -> None:
    metrics.watch("marquee_events_total", lambda: [((outcome,), count) for outcome, count in events.items().items()])
    metrics.watch("marquee_bundles", lambda: bundles.states().items())
    metrics.watch("marquee_bundle_create_time_seconds", lambda: [((), oldest) for oldest in bundles.oldest()])


async def build(settings: OrchestratorSettings) -> ServiceDefinition:
    """Open the store and put the service together.

    Raises:
        CannotStart: the store cannot be opened.
    """
    keys = token_keys(settings)
    signer = TokenSigner(keys)
    telemetry = Telemetry.from_settings(settings, "orchestrator")
    metrics = telemetry.metrics
    store = measured(await _open_store(settings), metrics)
    mesh = Mesh(
        {
            "text": settings.text_address,
            "vision": settings.vision_address,
            "classical": settings.classical_address,
        },
        tls_files(settings),
    )
    models = MeshContentModels(mesh, settings.enrichment_seconds)
    snapshots = CatalogSnapshots(store, settings.statistics_refresh_seconds)
    bundles = BundleKeeper(store, mesh, settings.bundle_check_seconds, settings.bundle_load_seconds, snapshots)
    backfill = VectorBackfill(store, models)
    reader = Reader(store, snapshots, settings)
    events = Counters()
    slates = SlateLog(store, signer, settings.page_seconds, settings.slate_days)
    trends = Trends(store, settings.trend_half_life_days)
    recommender = Recommender(reader, mesh, bundles, settings, slates, trends)
    insights = UserInsights(store, snapshots, mesh, settings)
    checks = EventChecks(signer, int(settings.clock_skew_seconds * 1e6))
    maintenance = StoreMaintenance(
        store, settings.event_retention_days, settings.deduplication_days, settings.maintenance_seconds
    )
    recommendation = RecommendationServicer(
        recommender,
        SimilarItems(store, snapshots, mesh, bundles, settings),
    )

    content = ContentServicer(TextAnalyzer(mesh, settings))
    moderator = Moderator(store, mesh, settings)
    moderation = ModerationServicer(store, moderator)
    alike, attacher = SimilarPictures(store, snapshots), Attacher(store, models)
    media = MediaServicer(
        ImageAnalyzer(mesh, moderator, alike, attacher, settings),
        ClipAnalyzer(mesh, moderator, attacher, ClipSummaries(mesh, alike, attacher, settings), settings),
        settings,
    )
    writer = ItemWriter(Rephraser(mesh, moderator))
    writing = WritingServicer(
        Explanations(store, ItemExplainer(recommender), writer, settings),
        Blurbs(store, snapshots, writer, settings),
        ReviewSummaries(writer, settings),
        Generation(mesh, moderator, settings),
    )

    indexes = SearchIndexes()
    pages = SearchPages(keys, settings.page_seconds)
    word_vectors = WordVectors(mesh)
    search = SearchServicer(Searcher(reader, mesh, bundles, indexes, word_vectors, pages, settings))

    servicers: list[tuple[Callable[[Any, grpc.aio.Server], None], object]] = [
        (recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server, recommendation),
        (insight_service_pb2_grpc.add_InsightServiceServicer_to_server, InsightServicer(insights)),
        (experiment_service_pb2_grpc.add_ExperimentServiceServicer_to_server, ExperimentServicer(store)),
        (catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server, CatalogServicer(store, models)),
        (event_service_pb2_grpc.add_EventServiceServicer_to_server, EventServicer(store, checks, acknowledged=events)),
        (user_service_pb2_grpc.add_UserServiceServicer_to_server, UserServicer(store, recommender.forget)),
        (bundle_service_pb2_grpc.add_BundleServiceServicer_to_server, BundleServicer(store, bundles)),
        (content_service_pb2_grpc.add_ContentServiceServicer_to_server, content),
        (moderation_service_pb2_grpc.add_ModerationServiceServicer_to_server, moderation),
        (media_service_pb2_grpc.add_MediaServiceServicer_to_server, media),
        (writing_service_pb2_grpc.add_WritingServiceServicer_to_server, writing),
        (search_service_pb2_grpc.add_SearchServiceServicer_to_server, search),
        (route_service_pb2_grpc.add_RouteServiceServicer_to_server, RouteServicer(store, bundles)),
    ]

    _report(metrics, bundles, events)
    attach = counting_attachment(servicers, AnswerMetrics(metrics))

    async def start() -> Sequence[str]:
        load_tables_soon()
        # With the model services down it still answers, so their absence does not keep it from being ready.
        bundles.start()
        backfill.start()
        maintenance.start()
        indexes.warm(store, snapshots)
        return []

    async def stop() -> None:
        await maintenance.stop()
        await backfill.stop()
        await bundles.stop()
        await trends.close()
        await indexes.close()
        await word_vectors.close()
        await snapshots.close()
        await mesh.close()
        await store.close()

    return ServiceDefinition("orchestrator", CONTRACTS, attach, start, stop, telemetry=telemetry)


if __name__ == "__main__":
    chosen = read_settings(OrchestratorSettings, "orchestrator")
    run_service(lambda: build(chosen), chosen, "orchestrator")
