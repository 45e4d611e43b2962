from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.runtime.repository.manifest import read_manifest
from services.text.pipelines.generation.description import GENERATION_FILE, read_description
from tests.support.language_models import BEGIN, CONTEXT, END, write_decoder, write_recurrent

Change = Callable[[dict[str, Any]], object]


def edit(folder: Path, change: Change) -> None:
    document = json.loads((folder / GENERATION_FILE).read_text())
    change(document)
    (folder / GENERATION_FILE).write_text(json.dumps(document))


def test_it_says_how_a_model_is_fed(models: Path) -> None:
    folder = write_decoder(models, heads=2, head_width=8)
    found = read_description(folder, read_manifest(folder))
    assert (found.kind, found.context_tokens, found.begin_token, found.end_tokens) == (
        "transformer",
        CONTEXT,
        BEGIN,
        (END,),
    )
    assert found.states[0].sized(3, 7) == (3, 2, 7, 8)


def test_a_state_that_does_not_grow_has_one_size(models: Path) -> None:
    folder = write_recurrent(models, width=24)
    found = read_description(folder, read_manifest(folder))
    assert found.states[0].sized(3, 7) == (3, 1, 24)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda document: document.update(kind="oracle"), "kind"),
        (lambda document: document.update(context_tokens=1), "context_tokens"),
        (lambda document: document.update(begin_token=-1), "begin_token"),
        (lambda document: document.update(states=[]), "states"),
        (lambda document: document.update(temperature=1), "temperature"),
        (lambda document: document["states"][0].update(growing_axis=1), "free axes"),
        (lambda document: document["states"][0].update(growing_axis=None), "free axes"),
        (lambda document: document["states"].pop(), "the inputs are"),
        (lambda document: document["states"][0].update(output="logits2"), "the outputs are"),
    ],
)
def test_what_it_should_not_say_is_named(models: Path, change: Change, told: str) -> None:
    folder = write_decoder(models)
    edit(folder, change)
    with pytest.raises(ValueError, match=told):
        read_description(folder, read_manifest(folder))


def test_without_the_file_there_is_none(models: Path) -> None:
    folder = write_decoder(models)
    (folder / GENERATION_FILE).unlink()
    with pytest.raises(OSError, match=GENERATION_FILE):
        read_description(folder, read_manifest(folder))
