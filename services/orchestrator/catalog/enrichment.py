"""Asks the model services for what an item's text and picture say, before the item is stored.

A service that does not answer never stops a write: the item is stored without, and `VectorBackfill` fills it in
later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from marquee.common.v1.report_pb2 import (
    STEP_OUTCOME_FALLBACK,
    STEP_OUTCOME_OK,
    STEP_OUTCOME_SKIPPED,
    StepReport,
)
from services.orchestrator.catalog.content_models import ContentModels, picture_parts, text_of, text_parts
from services.orchestrator.catalog.service_failures import (
    CALL_FAILURES,
    describe_failure,
    invalid_entries,
    is_invalid_input,
)
from services.orchestrator.store.records import DescribedPicture, ItemVector, ItemWrite, UndescribedPicture
from services.runtime.errors import FieldViolation, InvalidRequest

Input = TypeVar("Input")
Output = TypeVar("Output")

_CALLS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Enriched:
    """Items as they are to be stored, and how it went."""

    items: list[ItemWrite]
    steps: list[StepReport]
    degraded: bool


async def enrich(
    models: ContentModels, items: Sequence[ItemWrite], budget_seconds: float, *, with_texts: bool = True
) -> Enriched:
    """Return the items with text vectors and described pictures, as far as the services answer within the budget.

    Args:
        models: the model services.
        items: items whose pictures, where they have one, are not described.
        budget_seconds: time for all calls together.
        with_texts: whether the texts are to be embedded; otherwise the store keeps the vectors of texts that are the
            same.

    Raises:
        InvalidRequest: the vision service refused a picture; names `items[i].picture`.
    """
    pictures = [
        (index, item.picture) for index, item in enumerate(items) if isinstance(item.picture, UndescribedPicture)
    ]
    texts = [text_of(item.title, item.description, item.tags) for item in items] if with_texts else []
    refused: list[FieldViolation] = []

    async def embed(part: Sequence[str]) -> list[ItemVector]:
        vectors = await models.embed_texts(part)
        return [ItemVector(values, vectors.model, vectors.version) for values in vectors.values]

    async def describe(part: Sequence[tuple[int, UndescribedPicture]]) -> Sequence[DescribedPicture]:
        try:
            return await models.describe_pictures([picture for _, picture in part])
        except CALL_FAILURES as error:
            if is_invalid_input(error):
                refused.extend(
                    _picture_violation([index for index, _ in part], *entry) for entry in invalid_entries(error)
                )
            raise

    (vectors, text_step), (described, picture_step) = await asyncio.gather(
        _step("text", embed, list(text_parts(texts)), budget_seconds),
        _step("vision", describe, list(picture_parts(pictures, lambda entry: entry[1])), budget_seconds),
    )
    if refused:
        raise InvalidRequest(refused, reason="INVALID_PICTURE")
    enriched = list(items)
    if with_texts:
        enriched = [replace(item, text_vector=vector) for item, vector in zip(items, vectors, strict=True)]
    for (index, _), picture in zip(pictures, described, strict=True):
        if picture is not None:
            enriched[index] = replace(enriched[index], picture=picture)
    _name_model(text_step, vectors)
    _name_model(picture_step, [picture.vector if picture else None for picture in described])
    steps = [text_step, picture_step]
    return Enriched(enriched, steps, any(step.outcome == STEP_OUTCOME_FALLBACK for step in steps))


async def _step(
    service: str,
    call: Callable[[Sequence[Input]], Awaitable[Sequence[Output]]],
    parts: Sequence[Sequence[Input]],
    budget_seconds: float,
) -> tuple[list[Output | None], StepReport]:
    """Run one service over all inputs, one call a part; inputs whose call failed end as None."""
    step = StepReport(
        step=f"enrich/{service}", service=service, outcome=STEP_OUTCOME_SKIPPED, detail="nothing to describe"
    )
    if not parts:
        return [], step
    start = time.monotonic()
    deadline = asyncio.get_running_loop().time() + budget_seconds
    slots = asyncio.Semaphore(_CALLS_AT_ONCE)
    failures: list[Exception] = []

    async def run(part: Sequence[Input]) -> Sequence[Output | None]:
        try:
            async with asyncio.timeout_at(deadline), slots:
                return await call(part)
        except CALL_FAILURES as error:
            failures.append(error)
            return [None] * len(part)

    outputs = [output for answered in await asyncio.gather(*map(run, parts)) for output in answered]
    step.outcome, step.detail = STEP_OUTCOME_OK, ""
    if failures:
        step.outcome = STEP_OUTCOME_FALLBACK
        step.detail = (
            f"{outputs.count(None)} of {len(outputs)} stored without ({describe_failure(failures[0])}); "
            "they follow when the service answers"
        )
    step.milliseconds = (time.monotonic() - start) * 1000
    return outputs, step


def _picture_violation(indices: Sequence[int], place: int | None, description: str) -> FieldViolation:
    """Name the item whose picture was refused; a service that names none leaves only the batch to blame."""
    if place is None and len(indices) > 1:
        return FieldViolation("items", f"a picture {description}")
    return FieldViolation(f"items[{indices[place or 0]}].picture", description)


def _name_model(step: StepReport, vectors: Sequence[ItemVector | None]) -> None:
    for vector in vectors:
        if vector is not None:
            step.model, step.version = vector.model, vector.version
            return
