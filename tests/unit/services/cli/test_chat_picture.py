from __future__ import annotations

from pathlib import Path

import pytest
import typer

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.cli.chat_picture import ALLOW, BLOCK, REVIEW, chosen_examples, draw
from services.cli.chat_replay import Example, Replay


def decision(action: int, text: str, found: str = "", read_as: str = "") -> pb.ModerationDecision:
    made = pb.ModerationDecision(action=action, read_as=read_as)  # type: ignore[arg-type]
    if found:
        start = text.index(found)
        reason = made.reasons.add(code="identity_attack", action=action)
        reason.spans.add(start=start, end=start + len(found), text=found)
    return made


def replay(count: int = 500) -> Replay:
    made = Replay(seconds=2.0)
    for number in range(count):
        action = BLOCK if number % 10 == 0 else REVIEW if number % 7 == 0 else ALLOW
        made.actions.append(action)
        made.delays.append(0.01 + number / 1e5)
        if action != ALLOW:
            made.reasons["toxic", action] += 1
    made.reasons["unsupported_language", REVIEW] += 3
    text = "you 1diot, it costs $5 and $6"
    made.examples = [Example(text, decision(BLOCK, text, "1diot", "you idiot, it costs $5 and $6"))] * 5
    return made


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_replay_is_drawn(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"chat.{ending}"
    draw(replay(), path)
    assert path.stat().st_size > 10_000


def test_a_chat_of_one_message_is_drawn(tmp_path: Path) -> None:
    one = Replay([ALLOW], delays=[0.02], seconds=0.02)
    draw(one, tmp_path / "one.png")
    assert (tmp_path / "one.png").exists()


@pytest.mark.parametrize("name", ["no/such/folder/a.png", "chat.docx"])
def test_a_file_that_cannot_be_drawn_to_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(typer.BadParameter, match="cannot draw to"):
        draw(replay(20), tmp_path / name)


def test_examples_are_few_of_each_kind_and_what_was_found_is_masked() -> None:
    made = replay()
    blocked = "what a 1d10t this is"
    made.examples += [Example(blocked, decision(BLOCK, blocked, "1d10t"))]
    made.examples += [Example("x" * 500, decision(BLOCK, "x" * 500))]
    groups = {heading: (action, texts) for heading, action, texts in chosen_examples(made)}
    assert groups["disguised"][0] == BLOCK
    assert len(groups["disguised"][1]) == 3
    assert groups["blocked"][1] == ["what a 1•10t this is   [identity attack]"]
    assert "for review" not in groups
