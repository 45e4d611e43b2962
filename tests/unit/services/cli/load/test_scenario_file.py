from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.text.v1 import text_service_pb2 as text_pb
from services.cli.load.plan import UNIQUE_MARK, UNIQUE_WIDTH
from services.cli.load.scenario import Scenario
from services.cli.load.scenario_file import PACKAGED, ScenarioError, Source, find_scenario
from services.cli.load.variables import Discovered

GOOD = """\
name: mine
variables:
  line: {choice: [one, two, three]}
  count: {integer: [1, 5]}
steps:
  - name: embed
    method: marquee.text.v1.TextService/EmbedText
    request: {texts: ["${line} ${unique}"]}
  - name: label
    method: TextService/ClassifyText
    weight: 2
    request: {texts: ["${line}"], labels: [a, b], top_count: "${count}"}
    expect: {report.model: x}
"""
PLACES = {"orchestrator": "127.0.0.1:1", "text": "127.0.0.1:2", "vision": "", "classical": ""}


def scenario(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return Scenario(Source(path))


def test_templates_become_requests_ready_to_be_sent(tmp_path: Path) -> None:
    embed, label = scenario(tmp_path, GOOD).steps(PLACES, Discovered(), 200, {"x-marquee-tenant": "t"}, seed=1)
    assert embed.address == "127.0.0.1:2"
    assert embed.unique
    assert len(UNIQUE_MARK) == UNIQUE_WIDTH
    sent = {text_pb.EmbedTextRequest.FromString(body).texts[0] for body in embed.bodies}
    assert sent == {f"{word} {UNIQUE_MARK.decode()}" for word in ("one", "two", "three")}
    requests = [text_pb.ClassifyTextRequest.FromString(body) for body in label.bodies]
    assert {request.top_count for request in requests} == {1, 2, 3, 4, 5}  # numbers stay numbers
    assert label.metadata == (("x-marquee-tenant", "t"),)
    assert label.weight == 2


@pytest.mark.parametrize("name", sorted(path.stem for path in PACKAGED.glob("*.yaml")))
def test_the_scenarios_that_come_along_fit_the_contracts(name: str) -> None:
    packaged = Scenario(Source(find_scenario(name)))
    found = Discovered(["196", "22"], ["50", "181"])
    steps = packaged.steps(PLACES, found, 50, {}, seed=1)
    assert sum(step.weight for step in steps) > 0
    for step in steps:
        if step.method.endswith("WriteEvents"):
            assert step.unique  # else the server would only count duplicates
            for body in step.bodies:
                for event in event_pb.WriteEventsRequest.FromString(body).events:
                    assert event.user_id.startswith("load-")
                    assert event.item_id in found.items


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("weight: 2", "weight: -1"), 11, ["steps[1].weight", "greater than 0"]),
        (("weight: 2", "weigt: 2"), 11, ["steps[1].weigt", "did you mean 'weight'", "deadline_ms"]),
        (("EmbedText", "EmbedTxt"), 7, ["steps[0].method", "EmbedTxt", "TextService/EmbedText"]),
        (('texts: ["${line} ${unique}"]', "text: [a]"), 8, ["no field 'text'", "did you mean 'texts'", "model"]),
        (("${line} ${unique}", "${lime}"), 8, ["no variable 'lime'", "line, count, unique"]),
        (("labels: [a, b]", "labels: 7"), 12, ["steps[1].request", "labels"]),
        (("report.model: x", "report.mod: x"), 13, ["steps[1].expect", "no field 'mod'", "model"]),
        (("report.model: x", "report.model: 7"), 13, ["is not of the field's type"]),
        (("{integer: [1, 5]}", "{integer: [5, 1]}"), 4, ["variables.count", "first limit"]),
        (("{integer: [1, 5]}", "{}"), 4, ["variables.count", "exactly one of", "users", "items"]),
        (("choice: [one, two, three]", "lines: nowhere.txt"), 3, ["variables.line", "nowhere.txt"]),
        (("choice: [one, two, three]", "lines: ../secret.txt"), 3, ["must be in the scenario's folder"]),
        (("name: label", "name: embed"), 5, ["two steps are named 'embed'"]),
        (("    method: TextService/ClassifyText\n", ""), 9, ["steps[1]", "either method"]),
        (("name: mine", "name: [mine"), 2, ["not YAML"]),
        (("weight: 2", "target: 10.1.2.3:50060"), 11, ["steps[1].target", "unknown"]),
        (("weight: 2", "service: elsewhere"), 11, ["orchestrator, text, vision, classical"]),
        (("weight: 2", "metadata: {grpc-timeout: 1S}"), 11, ["steps[1].metadata", "grpc-"]),
        (("weight: 2", "think_ms: [9, 1]"), 11, ["steps[1].think_ms"]),
    ],
)
def test_errors_name_file_line_field_and_what_is_allowed(
    tmp_path: Path, change: tuple[str, str], line: int, words: list[str]
) -> None:
    assert change[0] in GOOD
    with pytest.raises(ScenarioError) as caught:
        scenario(tmp_path, GOOD.replace(change[0], change[1], 1))
    assert f"mine.yaml:{line}:" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path) -> None:
    for text in ("", "- a\n", "7\n"):
        with pytest.raises(ScenarioError, match="is a mapping with: name"):
            scenario(tmp_path, text)
    with pytest.raises(ScenarioError, match="browse, chat, play"):
        find_scenario("brows")
    with pytest.raises(ScenarioError, match="no such file"):
        find_scenario("here/nothing.yaml")


def test_unique_text_cannot_hide_in_bytes(tmp_path: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(GOOD)
    method, content = "marquee.vision.v1.VisionService/EmbedImage", "${unique}"
    document["steps"] = [{"name": "a", "method": method, "request": {"images": [{"content": content}]}}]
    with pytest.raises(ScenarioError, match=r"steps\[0\].request"):
        scenario(tmp_path, yaml.safe_dump(document))
