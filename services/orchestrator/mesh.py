"""Typed calls to the model services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceStub
from marquee.common.v1 import candidate_pb2
from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.common.v1.model_repository_pb2_grpc import ModelRepositoryServiceStub
from marquee.text.v1 import generation_pb2 as generation_pb
from marquee.text.v1 import text_service_pb2 as text_pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from marquee.vision.v1 import video_pb2 as video_pb
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from marquee.vision.v1.vision_service_pb2_grpc import VisionServiceStub
from services.orchestrator.channels import CONTRACTS, FAMILIES, Channels, Family
from services.orchestrator.sending import send_all
from services.runtime.observability.tracing import outgoing_metadata
from services.runtime.request_context import PRIORITY_KEY, REQUEST_ID_KEY, TENANT_KEY, current_request
from services.runtime.tls import PemFiles

if TYPE_CHECKING:
    # The typed views of the stubs for asynchronous channels exist for the type checker only.
    from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceAsyncStub
    from marquee.common.v1.model_repository_pb2_grpc import ModelRepositoryServiceAsyncStub
    from marquee.text.v1.text_service_pb2_grpc import TextServiceAsyncStub
    from marquee.vision.v1.vision_service_pb2_grpc import VisionServiceAsyncStub

__all__ = ["CONTRACTS", "FAMILIES", "Family", "Mesh", "MeshError"]

ResponseT = TypeVar("ResponseT")

_DOWN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class MeshError(Exception):
    """A call to a model service failed.

    Attributes:
        family: the service.
        code: its gRPC status.
        details: its message, for logs.
        cause: the error as gRPC raised it, with the service's `google.rpc` details.
    """

    def __init__(self, family: Family, cause: grpc.aio.AioRpcError) -> None:
        self.family = family
        self.code = cause.code()
        self.details = cause.details() or ""
        self.cause = cause
        super().__init__(f"{family} service: {self.code.name}: {self.details}")

    @property
    def down(self) -> bool:
        """Whether the service did not answer at all, as opposed to refusing the call."""
        return self.code in _DOWN

    def summary(self) -> str:
        """Return one short sentence for a step report."""
        if self.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the {self.family} service did not answer in time"
        if self.code is grpc.StatusCode.UNAVAILABLE:
            return f"the {self.family} service is down"
        if self.code is grpc.StatusCode.FAILED_PRECONDITION:
            return f"the {self.family} service has not loaded what is needed yet"
        return f"the {self.family} service refused the call: {self.code.name}"


class Mesh:
    """Typed calls to the three model services. Every call takes the seconds it may last and raises `MeshError`.

    Args:
        addresses: gRPC target of each service.
        tls: files for TLS with them; None speaks plaintext. With it, make the mesh inside the running event loop.
    """

    def __init__(self, addresses: dict[Family, str], tls: PemFiles | None = None) -> None:
        self._channels = Channels(addresses, tls, self._make_stubs)
        self._generators: dict[Family, Callable[..., Awaitable[Any]]] = {
            "text": lambda query, **options: self._text.GenerateCandidates(
                text_pb.GenerateCandidatesRequest(query=query), **options
            ),
            "vision": lambda query, **options: self._vision.GenerateCandidates(
                vision_pb.GenerateCandidatesRequest(query=query), **options
            ),
            "classical": lambda query, **options: self._classical.GenerateCandidates(
                classical_pb.GenerateCandidatesRequest(query=query), **options
            ),
        }

    def _make_stubs(self, channels: Mapping[Family, grpc.aio.Channel]) -> None:
        self._text: TextServiceAsyncStub = TextServiceStub(channels["text"])
        self._vision: VisionServiceAsyncStub = VisionServiceStub(channels["vision"])
        self._classical: ClassicalServiceAsyncStub = ClassicalServiceStub(channels["classical"])
        self._repositories: dict[Family, ModelRepositoryServiceAsyncStub] = {
            family: ModelRepositoryServiceStub(channel) for family, channel in channels.items()
        }

    async def generate_candidates(
        self, family: Family, query: candidate_pb2.CandidateQuery, seconds: float
    ) -> candidate_pb2.CandidateSet:
        """Return the candidates of one service."""
        response = await _call(family, self._generators[family], query, seconds)
        candidates: candidate_pb2.CandidateSet = response.candidates
        return candidates

    async def rank_candidates(
        self, request: classical_pb.RankCandidatesRequest, seconds: float
    ) -> classical_pb.RankCandidatesResponse:
        """Return candidates scored by the bundle's ranker."""
        return await _call("classical", self._classical.RankCandidates, request, seconds)

    async def predict_behaviour(
        self, request: classical_pb.PredictBehaviourRequest, seconds: float
    ) -> classical_pb.PredictBehaviourResponse:
        """Return what a behaviour model says of users."""
        return await _call("classical", self._classical.PredictBehaviour, request, seconds)

    async def understand_texts(
        self, texts: Sequence[str], tasks: Sequence[text_pb.UnderstandingTask.ValueType], seconds: float
    ) -> text_pb.UnderstandTextResponse:
        """Return sentiment, emotions and toxicity of texts, as far as asked."""
        request = text_pb.UnderstandTextRequest(texts=texts, tasks=tasks)
        return await _call("text", self._text.UnderstandText, request, seconds)

    async def classify_texts(
        self, texts: Sequence[str], labels: Sequence[str], top_count: int, seconds: float
    ) -> text_pb.ClassifyTextResponse:
        """Return the best of the caller's labels for each text."""
        request = text_pb.ClassifyTextRequest(texts=texts, labels=labels, top_count=top_count)
        return await _call("text", self._text.ClassifyText, request, seconds)

    async def score_toxicity(self, texts: Sequence[str], seconds: float) -> classical_pb.ScoreToxicityResponse:
        """Return how offensive texts are by their words."""
        request = classical_pb.ScoreToxicityRequest(texts=texts)
        return await _call("classical", self._classical.ScoreToxicity, request, seconds)

    async def embed_texts(self, texts: Sequence[str], seconds: float, model: str = "") -> text_pb.EmbedTextResponse:
        """Return one vector a text, by the service's default model unless another is named."""
        return await _call("text", self._text.EmbedText, text_pb.EmbedTextRequest(texts=texts, model=model), seconds)

    async def generate_text(
        self, request: generation_pb.GenerateTextRequest, seconds: float
    ) -> AsyncGenerator[generation_pb.GenerateTextResponse]:
        """Yield the pieces of a text as they are made; whoever stops reading stops the work."""
        call = self._text.GenerateText(request, timeout=max(0.001, seconds), metadata=_metadata())
        try:
            async for piece in call:
                yield piece
        except grpc.aio.AioRpcError as error:
            raise MeshError("text", error) from error
        finally:
            call.cancel()

    async def embed_images(self, images: Sequence[vision_pb.Image], seconds: float) -> vision_pb.EmbedImageResponse:
        """Return one vector a picture."""
        return await _call("vision", self._vision.EmbedImage, vision_pb.EmbedImageRequest(images=images), seconds)

    async def classify_images(
        self, images: Sequence[vision_pb.Image], top_count: int, seconds: float, model: str = ""
    ) -> vision_pb.ClassifyImageResponse:
        """Return the best labels of each picture, by the service's default model unless another is named."""
        request = vision_pb.ClassifyImageRequest(images=images, top_count=top_count, model=model)
        return await _call("vision", self._vision.ClassifyImage, request, seconds)

    async def detect_objects(
        self, images: Sequence[vision_pb.Image], minimum_score: float, seconds: float
    ) -> vision_pb.DetectObjectsResponse:
        """Return the objects of each picture."""
        request = vision_pb.DetectObjectsRequest(images=images, minimum_score=minimum_score)
        return await _call("vision", self._vision.DetectObjects, request, seconds)

    async def detect_faces(self, images: Sequence[vision_pb.Image], seconds: float) -> vision_pb.DetectFacesResponse:
        """Return the faces of each picture and what they show."""
        request = vision_pb.DetectFacesRequest(images=images, expressions=True)
        return await _call("vision", self._vision.DetectFaces, request, seconds)

    async def screen_images(self, images: Sequence[vision_pb.Image], seconds: float) -> vision_pb.ScreenImageResponse:
        """Return how probably each picture is not safe for work."""
        return await _call("vision", self._vision.ScreenImage, vision_pb.ScreenImageRequest(images=images), seconds)

    async def analyze_video(
        self, requests: AsyncIterable[video_pb.AnalyzeVideoRequest], seconds: float
    ) -> AsyncGenerator[video_pb.AnalyzeVideoResponse]:
        """Send a video on while its answers come; nothing piles up on either way, and whoever stops reading ends it.

        Raises:
            MeshError: the service ended it.
            Exception: whatever the requests raise.
        """
        call = self._vision.AnalyzeVideo(timeout=max(0.001, seconds), metadata=_metadata())
        sending = asyncio.create_task(send_all(call, requests))
        # What the caller sent wrong ends the video.
        sending.add_done_callback(lambda done: call.cancel() if not done.cancelled() and done.exception() else None)
        try:
            while isinstance(response := await call.read(), video_pb.AnalyzeVideoResponse):
                yield response
            code = await call.code()
            if code is not grpc.StatusCode.OK:  # reading raises errors only while it waits for a message
                raise grpc.aio.AioRpcError(
                    code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
                )
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if sending.done() and not sending.cancelled() and (failure := sending.exception()) is not None:
                raise failure from error
            if isinstance(error, grpc.aio.AioRpcError):
                raise MeshError("vision", error) from error
            raise
        finally:
            call.cancel()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def load_bundle(self, family: Family, tenant: str, version: str, seconds: float) -> repository_pb.Bundle:
        """Make one service load a bundle."""
        request = repository_pb.LoadBundleRequest(tenant=tenant, version=version)
        response = await _call(family, self._repositories[family].LoadBundle, request, seconds)
        return response.bundle

    async def list_bundles(self, family: Family, tenant: str, seconds: float) -> list[repository_pb.Bundle]:
        """Return the bundles one service has loaded."""
        request = repository_pb.ListBundlesRequest(tenant=tenant)
        response = await _call(family, self._repositories[family].ListBundles, request, seconds)
        return list(response.bundles)

    async def get_bundle(self, family: Family, tenant: str, version: str, seconds: float) -> repository_pb.Bundle:
        """Return a loaded bundle of one service with its item ids."""
        request = repository_pb.GetBundleRequest(tenant=tenant, version=version)
        response = await _call(family, self._repositories[family].GetBundle, request, seconds)
        return response.bundle

    async def unload_bundle(self, family: Family, tenant: str, version: str, seconds: float) -> None:
        """Make one service forget a bundle."""
        request = repository_pb.UnloadBundleRequest(tenant=tenant, version=version)
        await _call(family, self._repositories[family].UnloadBundle, request, seconds)

    async def close(self) -> None:
        """Close the channels."""
        await self._channels.close()


async def _call(family: Family, method: Callable[..., Awaitable[ResponseT]], request: Any, seconds: float) -> ResponseT:
    try:
        return await method(request, timeout=max(0.001, seconds), metadata=_metadata())
    except grpc.aio.AioRpcError as error:
        raise MeshError(family, error) from error


def _metadata() -> tuple[tuple[str, str], ...]:
    call = current_request()
    return (
        (REQUEST_ID_KEY, call.request_id),
        (TENANT_KEY, call.tenant),
        (PRIORITY_KEY, call.priority.name.lower()),
        *outgoing_metadata(),
    )
