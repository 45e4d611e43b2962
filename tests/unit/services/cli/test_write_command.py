"""`marquee write` against an orchestrator with the committed models."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee_client import MarqueeClient
from services.cli.main import app
from services.orchestrator import main as orchestrator_main
from services.orchestrator.settings import OrchestratorSettings
from services.text import main as text_main
from services.text.settings import TextSettings
from tests.support.content_mesh import NOWHERE
from tests.support.parrot_model import write_parrot
from tests.support.servers import running

PARROT = "parrot"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an orchestrator that runs on a thread of its own, with one film."""
    folder = tmp_path_factory.mktemp("write")
    models = folder / "models"
    models.mkdir()
    for one in TextSettings().model_repository.iterdir():
        (models / one.name).symlink_to(one.resolve())
    write_parrot(models, PARROT, "What a lovely film.")
    address: Future[str] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        text = TextSettings(port=0, bundle_repository=folder, model_repository=models, drain_seconds=0)
        async with running(text_main.build(text), text) as service:
            settings = OrchestratorSettings(
                port=0,
                drain_seconds=0,
                store_url=f"sqlite:///{folder / 'store.sqlite'}",
                text_address=service.address,
                vision_address=NOWHERE,
                classical_address=NOWHERE,
                content_seconds=20.0,
            )
            async with running(await orchestrator_main.build(settings), settings) as server:
                address.set_result(server.address)
                await stop.wait()

    # What the servers log must not mix with what the command prints.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        found = address.result(60)
        with MarqueeClient(found) as client:
            heat = Item(item_id="heat", title="Heat", release_year=1995, tags=["Crime", "Drama"])
            client.upsert_items([heat])
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        structlog.reset_defaults()


def write(target: str, *arguments: str) -> Result:
    # Patient, because the machine may be busy with other tests.
    return CliRunner(env={"MARQUEE_TIMEOUT": "60"}).invoke(app, ["write", *arguments, "--target", target])


def test_why_and_its_facts(target: str) -> None:
    found = write(target, "why", "ann", "heat", "--facts", "--kind", "film")
    assert found.exit_code == 0, found.output
    assert "Heat" in found.output
    assert "title = Heat" in found.output


def test_blurbs(target: str) -> None:
    found = write(target, "blurb", "heat", "-n", "3", "--style", "lively", "--length", "short", "--json")
    texts = [one["text"] for one in json.loads(found.output)["variants"]]
    assert len(set(texts)) == len(texts) == 3
    assert write(target, "blurb", "heat", "--style", "odd").exit_code == 2
    assert write(target, "blurb", "nowhere").exit_code == 1


def test_a_summary_of_lines_and_of_json_lines(target: str, tmp_path: Path) -> None:
    plain, rated = tmp_path / "reviews.txt", tmp_path / "reviews.jsonl"
    plain.write_text("The acting was wonderful, truly.\n\nThe plot was dreadful and dull.\n", encoding="utf-8")
    rated.write_text('{"text": "The acting was wonderful.", "rating": 4}\n{"text": "Fine."}\n', encoding="utf-8")
    found = write(target, "summary", str(plain))
    assert found.exit_code == 0, found.output
    assert "acting" in found.output
    assert "review 1" in found.output
    assert "4.0 of 5" in write(target, "summary", str(rated)).output
    rated.write_text('{"review": "no text"}\n', encoding="utf-8")
    refused = write(target, "summary", str(rated))
    assert refused.exit_code == 2
    assert "line 1" in refused.output


def test_text_appears_and_says_what_made_it(target: str) -> None:
    found = write(target, "text", "They said:", "--model", PARROT, "--seed", "3")
    assert found.exit_code == 0, found.output
    assert found.output.startswith(" What a lovely film.\n")
    assert "parrot 1" in found.output
    assert "seed 3" in found.output
    assert write(target, "text", "They said:", "--model", "nobody").exit_code == 1
