from __future__ import annotations

import json
import random
from pathlib import Path

import numpy
import pytest

from marquee.common.v1.vector_pb2 import Vector
from marquee.entertainment.v1.catalog_service_pb2 import ExportedItem, Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee_client import MarqueeClient
from services.classical.training.dataset import Event as TrainingEvent
from services.cli.training_run import training_data
from tests.unit.services.cli.conftest import Run


def vector(*values: float) -> Vector:
    return Vector(values=numpy.array(values, "<f4").tobytes())


def test_an_export_becomes_rows_vectors_and_tags() -> None:
    items = [
        ExportedItem(item=Item(item_id="a", tags=["x"]), text_vector=vector(1, 0)),
        ExportedItem(item=Item(item_id="b")),
        ExportedItem(item=Item(item_id="c", tags=["y"]), text_vector=vector(0, 2), picture_vector=vector(3)),
    ]
    data = training_data(
        items, [TrainingEvent("u", "c", 2.0), TrainingEvent("u", "a", 1.0), TrainingEvent("u", "z", 3)]
    )
    assert data.interactions.item_ids == ("a", "b", "c")
    assert data.interactions.items.tolist() == [0, 2]
    assert data.tags == [["x"], [], ["y"]]
    assert {name: one.service for name, one in data.content.items()} == {
        "content_text": "text",
        "content_picture": "vision",
    }
    assert data.content["content_text"].rows.tolist() == [0, 2]
    assert data.content["content_text"].vectors.tolist() == [[1, 0], [0, 2]]
    assert data.content["content_picture"].rows.tolist() == [2]


def test_without_data_the_advice_is_to_import_some(run: Run, target: str) -> None:
    result = run("train")
    assert result.exit_code == 1
    assert "there are no titles to fit on" in result.output
    assert "marquee import movielens" in result.output


def test_a_bundle_is_written_but_not_served_while_services_are_down(run: Run, target: str, tmp_path: Path) -> None:
    chosen = random.Random(1)
    with MarqueeClient(target) as client:
        client.upsert_items([Item(item_id=f"i{n}", title=f"Title {n}", tags=[f"tag {n % 3}"]) for n in range(20)])
        events = [(user, item) for user in range(30) for item in chosen.sample(range(20), 6)]
        client.write_events(
            [
                Event(event_id=f"{user}-{item}", user_id=f"u{user}", item_id=f"i{item}", kind=EVENT_KIND_LIKE)
                for user, item in events
            ]
        )
    result = run("train", "--bundles", str(tmp_path / "bundles"))
    assert result.exit_code == 3
    assert "Fit the recommenders" in result.output
    assert "marquee status" in result.output
    (folder,) = (tmp_path / "bundles" / "default").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["item_count"], manifest["event_count"]) == (20, 180)


def test_help_of_every_command_teaches_by_example(run: Run) -> None:
    for words in (["recommend"], ["similar"], ["train"], ["status"], ["up"], ["demo"], ["import"]):
        result = run(*words, "--help")
        assert result.exit_code == 0
        assert "Examples" in result.output
        assert f"marquee {words[0]}" in result.output


@pytest.mark.parametrize("words", [[], ["import"]])
def test_no_command_shows_the_help(run: Run, words: list[str]) -> None:
    assert "Usage" in run(*words).output
