from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.text.pipelines.heads import HEADS_FILE, read_heads
from services.text.settings import TextSettings


def write(folder: Path, content: Any) -> Path:
    (folder / HEADS_FILE).write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_heads_that_are_not_named_are_not_there(tmp_path: Path) -> None:
    heads = read_heads(write(tmp_path, {"sentiment": True}))
    assert heads.sentiment
    assert heads.emotion is None
    assert heads.toxicity is None


@pytest.mark.parametrize(
    "content",
    [
        {"sentimental": True},
        {"emotion": {"labels": ["joy"]}},
        {"emotion": {"labels": ["joy", "fear"], "thresholds": [0.5]}},
        {"toxicity": {"labels": ["toxic"], "thresholds": [1.5]}},
        {"span_probability": "high"},
        [],
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ValueError, match="Heads"):
        read_heads(write(tmp_path, content))


@pytest.mark.parametrize("folder", sorted(TextSettings().model_repository.glob("*/*/heads.json")), ids=str)
def test_committed_heads_can_be_read(folder: Path) -> None:
    heads = read_heads(folder.parent)
    assert heads.sentiment or heads.emotion or heads.toxicity
