"""`marquee analyze image` against a server that answers from a script."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest
from PIL import Image

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1.moderation_service_pb2 import MODERATION_ACTION_REVIEW
from tests.unit.services.cli.conftest import Run
from tests.unit.services.cli.media.conftest import ScriptedMedia, picture_bytes


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    path = tmp_path / "shot.png"
    path.write_bytes(picture_bytes())
    return path


def found() -> pb.AnalyzeImageResponse:
    response = pb.AnalyzeImageResponse()
    analysis = response.analysis
    analysis.width, analysis.height = 64, 48
    analysis.labels.add(label="scoreboard", probability=0.62)
    analysis.games.add(label="doom", probability=0.97)
    analysis.objects.add(label="imp", score=0.91, box=media_pb2.Box(left=0.25, top=0.25, right=0.5, bottom=1))
    analysis.decision.action = MODERATION_ACTION_REVIEW
    analysis.decision.reasons.add(code="unsafe", message="it may not be safe for work", action=MODERATION_ACTION_REVIEW)
    analysis.similar_items.add(item_id="50", title="Star [red]Wars[/]", similarity=0.8)
    return response


def test_everything_that_was_said_is_printed_and_drawn(media: ScriptedMedia, run: Run, shot: Path) -> None:
    media.image = found()
    result = run("analyze", "image", str(shot))
    assert result.exit_code == 0, result.output
    for words in ("scoreboard", "doom", "imp", "16, 12 to 32, 48", "review", "safe for work", "Star [red]Wars[/]"):
        assert words in result.output
    with Image.open("shot.annotated.png") as drawn:
        assert max(drawn.size) >= 800, "letters need room"
    assert shot.read_bytes() == picture_bytes(), "the picture itself stays"


def test_wishes_reach_the_server(media: ScriptedMedia, run: Run, shot: Path) -> None:
    media.image = found()
    media.image.attachment.attached = True
    media.image.attachment.added_tags.append("scoreboard")
    words = ("--features", "labels,similar_items", "--attach", "50", "--policy", "kids", "--minimum-score", "0.25")
    result = run("analyze", "image", str(shot), *words, "--output", "boxes.webp")
    assert "attached to 50; new tags: scoreboard" in result.output
    assert Path("boxes.webp").exists()
    request = media.images[0]
    assert list(request.features) == [pb.MEDIA_FEATURE_LABELS, pb.MEDIA_FEATURE_SIMILAR_ITEMS]
    assert (request.attach.item_id, request.options.policy) == ("50", "kids")
    assert request.options.minimum_object_score == 0.25


def test_json_is_json_only(media: ScriptedMedia, run: Run, shot: Path) -> None:
    media.image = found()
    result = run("analyze", "image", str(shot), "--json")
    assert json.loads(result.output)["analysis"]["objects"][0]["label"] == "imp"
    assert not Path("shot.annotated.png").exists()


def test_faces_that_are_not_allowed_are_said(media: ScriptedMedia, run: Run, shot: Path) -> None:
    media.image.analysis.failures.add(
        feature=pb.MEDIA_FEATURE_FACES, reason="FACES_NOT_ALLOWED", message="the operator does not allow faces"
    )
    result = run("analyze", "image", str(shot), "--features", "faces")
    assert result.exit_code == 0
    assert "without faces: the operator does not allow faces FACES_NOT_ALLOWED" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.png"], "does not exist"),
        (["."], "is a directory"),
        (["shot.png", "--output", "shot.png"], "is the file that is analysed"),
        (["shot.png", "--output", "no/such/a.png"], "there is no folder"),
        (["shot.png", "--output", "."], "is a folder"),
        (["shot.png", "--features", "labels,smell"], "'smell' is none of labels"),
        (["shot.png", "--features", "events"], "'events' is none of"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_sent(
    media: ScriptedMedia, run: Run, shot: Path, words: list[str], said: str
) -> None:
    result = run("analyze", "image", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
    assert not media.images


def test_a_file_that_is_no_picture_is_the_servers_to_refuse(media: ScriptedMedia, run: Run, tmp_path: Path) -> None:
    media.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "image: neither JPEG, PNG nor WebP")
    (tmp_path / "notes.txt").write_text("no picture")
    result = run("analyze", "image", "notes.txt")
    assert result.exit_code == 2
    assert "image: neither JPEG, PNG nor WebP" in result.output
    assert not list(tmp_path.glob("*.png"))


def test_a_drawing_that_cannot_be_written_is_refused(media: ScriptedMedia, run: Run, shot: Path) -> None:
    result = run("analyze", "image", str(shot), "--output", "shot.docx")
    assert result.exit_code == 2
    assert "must end in" in result.output


def test_a_server_that_is_not_there_is_said(run: Run, shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_TARGET", "127.0.0.1:1")
    result = run("analyze", "image", str(shot))
    assert result.exit_code == 3
    assert "marquee up" in result.output
