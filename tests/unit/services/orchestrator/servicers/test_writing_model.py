"""Writing with language models behind it: rephrasings used or refused, text that passes through or is held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_OK
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import moderation_service_pb2 as moderation_pb
from marquee.entertainment.v1 import writing_service_pb2 as pb
from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceStub
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceStub
from marquee.entertainment.v1.writing_service_pb2_grpc import WritingServiceStub
from marquee.text.v1 import generation_pb2
from services.text.settings import TextSettings
from tests.support.content_mesh import ContentMesh, content_mesh
from tests.support.language_models import NEVER, RECURRENT, write_recurrent
from tests.support.parrot_model import write_parrot

PARROT = "parrot"
FAITHFUL = "Heat is an action and crime film from 1995."
WITH_PLACES = "TITLE is a GENRES film from YEAR."
HEAT = catalog_pb.Item(item_id="heat", title="Heat", release_year=1995, tags=["Action", "Crime"])
IF_FAITHFUL = pb.WritingOptions(rephrase=pb.REPHRASE_IF_FAITHFUL, model=PARROT, kind="film")


@asynccontextmanager
async def mesh_that_says(folder: Path, text: str) -> AsyncIterator[ContentMesh]:
    """Run a mesh whose text service has the committed models, one that says `text`, and one that never ends."""
    models = folder / "models"
    models.mkdir()
    for one in TextSettings().model_repository.iterdir():
        (models / one.name).symlink_to(one.resolve())
    write_parrot(models, PARROT, text)
    if not (models / RECURRENT).exists():
        write_recurrent(models, end=NEVER, required=False)
    async with content_mesh(folder, with_classical=False, model_repository=models) as mesh:
        await CatalogServiceStub(mesh.orchestrator).UpsertItems(catalog_pb.UpsertItemsRequest(items=[HEAT]))
        yield mesh


async def blurb(mesh: ContentMesh) -> pb.WriteBlurbResponse:
    writing: Any = WritingServiceStub(mesh.orchestrator)
    reply: pb.WriteBlurbResponse = await writing.WriteBlurb(pb.WriteBlurbRequest(item_id="heat", options=IF_FAITHFUL))
    return reply


async def pieces(mesh: ContentMesh, **fields: Any) -> list[pb.GenerateTextResponse]:
    writing: Any = WritingServiceStub(mesh.orchestrator)
    options = generation_pb2.GenerationOptions(max_tokens=200, seed=5)
    request = pb.GenerateTextRequest(**{"prompt": "They said:", "model": PARROT, "options": options, **fields})
    return [piece async for piece in writing.GenerateText(request)]


async def test_a_faithful_text_of_the_model_is_the_answer(tmp_path: Path) -> None:
    async with mesh_that_says(tmp_path, WITH_PLACES) as mesh:
        found = await blurb(mesh)
    (written,) = found.variants
    assert (written.text, written.rephrased) == (FAITHFUL, True)
    assert {fact.field: fact.value for fact in written.facts} == {
        "title": "Heat",
        "year": "1995",
        "genres": "Action, Crime",
    }
    assert not found.degraded
    (step,) = [step for step in found.steps if step.step == "rephrase"]
    assert (step.model, step.version, step.outcome) == (PARROT, "1", STEP_OUTCOME_OK)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Heat is an action and crime film from 1996.", "number"),
        ("Heat is an Oscar-winning crime film from 1995.", "claim"),
        ("Ronin is a crime film from 1995.", "omission"),
    ],
)
async def test_an_invented_one_is_refused_and_the_template_stays(tmp_path: Path, text: str, kind: str) -> None:
    async with mesh_that_says(tmp_path, text) as mesh:
        found = await blurb(mesh)
    (written,) = found.variants
    assert not written.rephrased
    assert "Heat" in written.text
    assert written.text != text
    assert kind in {refusal.kind for refusal in written.refusals}
    assert not found.degraded, "a refusal is no failure"
    (step,) = [step for step in found.steps if step.step == "rephrase"]
    assert "not used" in step.detail


async def test_a_phrase_that_the_tenant_blocks_is_refused(tmp_path: Path) -> None:
    async with mesh_that_says(tmp_path, FAITHFUL) as mesh:
        moderation: Any = ModerationServiceStub(mesh.orchestrator)
        policy = moderation_pb.ModerationPolicy(name="default", blocked_phrases=["crime film"])
        await moderation.SetModerationPolicy(moderation_pb.SetModerationPolicyRequest(policy=policy))
        (written,) = (await blurb(mesh)).variants
    assert not written.rephrased
    assert {refusal.kind for refusal in written.refusals} == {"blocked"}


async def test_generated_text_passes_through(tmp_path: Path) -> None:
    async with mesh_that_says(tmp_path, "What a lovely film. I saw it twice.") as mesh:
        found = await pieces(mesh)
    assert "".join(piece.text for piece in found) == " What a lovely film. I saw it twice."
    assert found[0].seed == 5
    assert found[-1].finish_reason == generation_pb2.FINISH_REASON_END_OF_TEXT
    assert found[-1].usage.generated_tokens > 10
    assert found[-1].report.model == PARROT


async def test_what_moderation_blocks_is_held_back_and_ends_the_text(tmp_path: Path) -> None:
    async with mesh_that_says(tmp_path, "What a lovely film. You are a fucking idiot. Good night.") as mesh:
        found = await pieces(mesh, hold_back=True)
    assert "".join(piece.text for piece in found).strip() == "What a lovely film."
    assert found[0].seed == 5
    assert "blocks" in found[-1].withheld


async def test_harmless_text_is_held_back_to_its_sentences_only(tmp_path: Path) -> None:
    async with mesh_that_says(tmp_path, "What a lovely film. I saw it twice.") as mesh:
        found = await pieces(mesh, hold_back=True)
    assert [piece.text.strip() for piece in found if piece.text.strip()] == ["What a lovely film.", "I saw it twice."]
    assert found[-1].finish_reason == generation_pb2.FINISH_REASON_END_OF_TEXT
    assert not found[-1].withheld


async def test_a_gone_reader_stops_the_work(tmp_path: Path) -> None:
    async with mesh_that_says(tmp_path, FAITHFUL) as mesh:
        writing: Any = WritingServiceStub(mesh.orchestrator)
        endless = generation_pb2.GenerationOptions(max_tokens=2048)
        request = pb.GenerateTextRequest(prompt="A film", model=RECURRENT, options=endless)
        # More readers than there are slots: those who leave must make room at once.
        for _ in range(40):
            call = writing.GenerateText(request)
            assert await call.read() is not grpc.aio.EOF
            call.cancel()
        async with asyncio.timeout(20):
            found = await pieces(mesh)
    assert found[-1].finish_reason == generation_pb2.FINISH_REASON_END_OF_TEXT
