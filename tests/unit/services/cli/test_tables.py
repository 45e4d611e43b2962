from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK, StepReport
from marquee.entertainment.v1.recommendation_service_pb2 import (
    REASON_KIND_HISTORY_ITEM,
    REASON_KIND_POPULARITY,
    Reason,
    RecommendedItem,
)
from services.cli import tables
from services.cli.tables import items_table, printable, steps_table, why

REASONS = [
    Reason(kind=REASON_KIND_HISTORY_ITEM, title="Jaws", share=0.5, text="Because of Jaws"),
    Reason(kind=REASON_KIND_POPULARITY, share=0.2, text="Popular with everyone"),
    Reason(kind=REASON_KIND_HISTORY_ITEM, title="Alien", share=0.1, text="Because of Alien"),
]
STEPS = [
    StepReport(step="rank", service="classical", model="ranker", version="v7", milliseconds=5, outcome=STEP_OUTCOME_OK),
    StepReport(step="candidates/text", service="text", outcome=STEP_OUTCOME_FALLBACK, detail="the service is down"),
]


@pytest.fixture(params=[80, 120])
def console(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Console:
    width: int = request.param
    console = Console(width=width, record=True, file=io.StringIO())
    monkeypatch.setattr(tables, "output", console)
    return console


def words(console: Console, what: RenderableType) -> str:
    console.print(what)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= console.width
    return " ".join(" ".join(lines).split())


def test_reasons_become_one_sentence_with_shares() -> None:
    assert why(REASONS) == "Because of Jaws 50%, Alien 10%. Popular with everyone"
    assert why([]) == ""


def test_a_list_says_everything_at_any_width(console: Console) -> None:
    item = RecommendedItem(item_id="x", title="Shark [uncut]", tags=["Horror"], score=1.5, reasons=REASONS)
    shown = words(console, items_table("For you", [item], marks={"x": "new"}))
    for part in ("For you", "new", "Shark [uncut]", "Horror", "1.500", "Jaws 50%", "Alien 10%", "Popular"):
        assert part in shown


def test_steps_say_everything_at_any_width(console: Console) -> None:
    shown = words(console, steps_table(STEPS, 10.0, "as the caller saw it"))
    for part in ("rank classical", "ranker", "v7", "5.0 50% ok", "fallback", "candidates/text: the service is down"):
        assert part in shown
    assert "whole call" in shown
    assert "as the caller saw it" in shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain, [b]with[/] signs", "plain, [b]with[/] signs"),
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("\u202eolleh", "\ufffdolleh"),
        ("👩\u200d👧 über", "👩\u200d👧 über"),
    ],
)
def test_what_somebody_else_wrote_does_not_steer_the_terminal(written: str, shown: str) -> None:
    assert printable(written) == shown
