"""`marquee moderate` before an orchestrator without model services: what nobody can read is for review."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.services.cli.conftest import Run


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    path = tmp_path / "chat.txt"
    lines = [f"well played {number}" for number in range(300)]
    lines[5], lines[9] = "", "x" * 10_001
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def policy_file(folder: Path, **fields: object) -> Path:
    path = folder / "policy.json"
    path.write_text(json.dumps({"name": "default", **fields}), encoding="utf-8")
    return path


def test_messages_are_decided_with_their_reasons(target: str, run: Run) -> None:
    found = run("moderate", "gg wp")
    assert found.exit_code == 0
    assert "review" in found.output
    assert "no model answered" in found.output


def test_a_policy_is_printed_set_and_gone_back_to(target: str, run: Run, tmp_path: Path) -> None:
    built_in = json.loads(run("moderate", "--policy").output)
    assert built_in["name"] == "default"
    assert "version 1" in run("moderate", "--set", str(policy_file(tmp_path, blocked_phrases=["free skins"]))).output
    assert (
        "version 2"
        in run("moderate", "--set", str(policy_file(tmp_path, when_unknown="MODERATION_ACTION_ALLOW"))).output
    )
    assert "allow" in run("moderate", "free skins").output
    old = run("moderate", "--policy", "--version", "1").output
    (tmp_path / "old.json").write_text(old, encoding="utf-8")
    assert "version 3" in run("moderate", "--set", str(tmp_path / "old.json")).output
    assert "block" in run("moderate", "free skins").output


def test_a_dry_run_shows_only_what_would_change_and_sets_nothing(
    target: str, run: Run, tmp_path: Path, chat: Path
) -> None:
    strict = policy_file(tmp_path, blocked_phrases=["played 7"])
    chat.write_text("well played 6\nwell played 7\n", encoding="utf-8")
    found = run("moderate", "--file", str(chat), "--try", str(strict))
    assert "review → block well played 7" in " ".join(found.output.split())
    assert "played 6" not in found.output
    assert "1 of 2 messages differently" in found.output
    assert json.loads(run("moderate", "--policy").output).get("version", "0") == "0"


def test_a_chat_is_replayed_and_drawn(target: str, run: Run, tmp_path: Path, chat: Path) -> None:
    picture = tmp_path / "chat.png"
    found = run("moderate", "--file", str(chat), "--chart", str(picture))
    assert found.exit_code == 0, found.output
    assert "299 messages" in found.output, "a blank line is no message"
    assert "298" in found.output, "reviewed"
    assert "1 messages were no valid message" in found.output
    assert "298 messages a model did not answer" in " ".join(found.output.split())
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"rules": [{"category": 5}]}', '{"unknown": 1}', "\udcff"])
def test_a_file_that_is_no_policy_is_refused(target: str, run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    found = run("moderate", "--set", str(path))
    assert found.exit_code == 2
    assert "is no moderation policy" in " ".join(found.output.replace("│", " ").split())


def test_an_unknown_policy_and_nothing_to_do_are_said(target: str, run: Run, chat: Path) -> None:
    assert "never-set" in run("moderate", "gg", "--name", "never-set").output
    replayed = run("moderate", "--file", str(chat), "--name", "never-set")
    assert replayed.exit_code != 0
    assert "never-set" in replayed.output
    assert run("moderate").exit_code == 2
    assert run("moderate", "--file", "/no/such/file").exit_code == 2
