"""Gives items the vectors that a model service could not give when they were written.

Only a picture's vector and labels are kept. Its bytes wait in the store until the vision service has seen
them, and no longer.
"""

from __future__ import annotations

import asyncio
import contextlib

from services.orchestrator.catalog.content_models import ContentModels, picture_parts, text_of, text_parts
from services.orchestrator.catalog.service_failures import CALL_FAILURES, describe_failure, is_invalid_input
from services.orchestrator.store.protocol import Store
from services.orchestrator.store.records import (
    ItemVector,
    PictureUpdate,
    TextVectorUpdate,
    WaitingPicture,
    WaitingText,
)
from services.runtime.logs import get_logger

_TEXTS_A_LOOK = 256
_PICTURES_A_LOOK = 8
_logger = get_logger(__name__)


class VectorBackfill:
    """A background task that describes what waits, for all tenants.

    Args:
        store: where the items are.
        models: the model services.
        interval_seconds: time between two looks; also the pause after a service did not answer.
    """

    def __init__(self, store: Store, models: ContentModels, interval_seconds: float = 5.0) -> None:
        self._store = store
        self._models = models
        self._interval_seconds = interval_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task on the running event loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="vector-backfill")

    async def stop(self) -> None:
        """Stop the task; what it has not stored waits for the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def run_once(self) -> int:
        """Describe everything that waits, as far as the services answer; returns the number of items that
        changed.
        """
        texts, pictures = await asyncio.gather(self._describe_texts(), self._describe_pictures())
        if texts or pictures:
            _logger.info("filled in vectors", texts=texts, pictures=pictures)
        return texts + pictures

    async def _run(self) -> None:
        while True:
            try:
                await self.run_once()
            except Exception as error:  # the task must outlive a store that is busy or full
                _logger.warning("filling in vectors failed", exc_info=error)
            await asyncio.sleep(self._interval_seconds)

    async def _describe_texts(self) -> int:
        changed = 0
        while waiting := await self._store.waiting_texts(_TEXTS_A_LOOK):
            try:
                updates = [update for part in text_parts(waiting) for update in await self._embed(part)]
            except CALL_FAILURES as error:
                _logger.warning("text service does not answer", failure=describe_failure(error))
                break
            stored = await self._store.set_text_vectors(updates)
            changed += stored
            if not stored:  # all were written again meanwhile: let that settle
                break
        return changed

    async def _embed(self, waiting: list[WaitingText]) -> list[TextVectorUpdate]:
        texts = [text_of(item.title, item.description, item.tags) for item in waiting]
        try:
            vectors = await self._models.embed_texts(texts)
        except CALL_FAILURES as error:
            if not is_invalid_input(error):
                raise
            if len(waiting) > 1:  # find the one that will never do, so that it holds up no other
                return [update for item in waiting for update in await self._embed([item])]
            _logger.warning("text given up", tenant=waiting[0].tenant, item_id=waiting[0].item_id)
            return [TextVectorUpdate(waiting[0].tenant, waiting[0].item_id, waiting[0].revision, None)]
        return [
            TextVectorUpdate(
                item.tenant, item.item_id, item.revision, ItemVector(values, vectors.model, vectors.version)
            )
            for item, values in zip(waiting, vectors.values, strict=True)
        ]

    async def _describe_pictures(self) -> int:
        changed = 0
        while waiting := await self._store.waiting_pictures(_PICTURES_A_LOOK):
            try:
                parts = picture_parts(waiting, lambda entry: entry.picture)
                updates = [update for part in parts for update in await self._describe(part)]
            except CALL_FAILURES as error:
                _logger.warning("vision service does not answer", failure=describe_failure(error))
                break
            stored = await self._store.set_pictures(updates)
            changed += stored
            if not stored:
                break
        return changed

    async def _describe(self, waiting: list[WaitingPicture]) -> list[PictureUpdate]:
        try:
            described = await self._models.describe_pictures([item.picture for item in waiting])
        except CALL_FAILURES as error:
            if not is_invalid_input(error):
                raise
            if len(waiting) > 1:
                return [update for item in waiting for update in await self._describe([item])]
            _logger.warning("picture given up", tenant=waiting[0].tenant, item_id=waiting[0].item_id)
            return [PictureUpdate(waiting[0].tenant, waiting[0].item_id, waiting[0].revision, None)]
        return [
            PictureUpdate(item.tenant, item.item_id, item.revision, picture)
            for item, picture in zip(waiting, described, strict=True)
        ]
