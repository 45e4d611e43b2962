"""`marquee analyze text` before an orchestrator without model services, and how an analysis is shown."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.services.cli.conftest import Run


def test_what_could_not_be_said_is_said(target: str, run: Run) -> None:
    found = run("analyze", "text", "What a gorgeous, witty film!")
    assert found.exit_code == 0, found.output
    assert "en" in found.output
    assert "unavailable" in found.output


def test_texts_come_from_a_file_and_answers_as_json(target: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("what a film\n\nDas war ein wirklich sehr guter Film\n", encoding="utf-8")
    found = run("analyze", "text", "--file", str(path), "--json")
    analyses = json.loads(found.output)["analyses"]
    assert [analysis["language"]["code"] for analysis in analyses] == ["en", "de"]
    assert {failure["reason"] for failure in analyses[1]["failures"]} == {"unsupported_language"}


def test_markup_in_a_text_is_text(target: str, run: Run) -> None:
    found = run("analyze", "text", "what a [red]film[/] [/]")
    assert found.exit_code == 0, found.output
    assert "[red]film[/]" in found.output


def test_bad_calls_are_refused_with_what_to_do(target: str, run: Run) -> None:
    assert run("analyze", "text").exit_code == 2
    assert "tags" in run("analyze", "text", "x", "--tag", "one").output
    assert "language" in run("analyze", "text", "x", "--language", "?").output
