"""`marquee load` as people type it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee_client import MarqueeClient
from services.cli.ports import free_ports
from tests.support.load_server import Capacity, load_server
from tests.unit.services.cli.conftest import Run

EMBED = ("load", "TextService/EmbedText", "-d", '{"texts": ["line ${unique}"]}')
SHORT = ("--duration", "1", "--warm-up", "0.2")


def test_a_run_prints_tables_and_writes_a_report(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["marquee", "load", "--metadata", "authorization=secret"])
    with load_server() as server:
        result = run(
            *EMBED, "-t", server.address, "-r", "100", *SHORT, "--processes", "2",
            "--metadata", "authorization=secret", "--report", str(tmp_path / "report"),
        )  # fmt: skip
        assert len(set(server.texts)) == len(server.texts)  # no call is like another
    assert result.exit_code == 0, result.output
    assert "Open loop" in result.output
    assert "2 processes" in result.output
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "secret" not in page
    assert "http://" not in page.replace("http://www.w3.org/", "").replace("http://purl.org/", "").replace(
        "http://creativecommons.org/", ""
    )
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    total = document["run"]["total"]
    assert total["ok"] == total["offered"] == total["sent"] > 70
    assert total["latency"]["p50"] >= total["service_time"]["p50"] > 0
    assert len(document["run"]["generator"]["processes"]) == 2

    reader = HistogramLogReader(str(tmp_path / "report" / "latency.hlog"), HdrHistogram(1, 3_600_000_000, 3))
    counts = []
    while (interval := reader.get_next_interval_histogram()) is not None:
        counts.append(interval.get_total_count())
    assert sum(counts) == 2 * total["ok"]  # by interval, and once more by step
    reader.close()


def test_conditions_decide_the_exit_code(run: Run) -> None:
    with load_server() as server:
        words = (*EMBED, "-t", server.address, "-c", "2", *SHORT)
        assert run(*words, "--fail-if", "errors>0%, p99>5s").exit_code == 0
        broken = run(*words, "--fail-if", "p50>0.001ms")
        assert broken.exit_code == 1
        assert "Closed loop" in broken.output
        assert "Failed: p50>0.001ms (it is" in broken.output


def test_a_ramp_reports_the_knee(run: Run, tmp_path: Path) -> None:
    with load_server(lambda: Capacity(slots=4, seconds=0.05)) as server:  # 80 calls a second
        result = run(
            *EMBED, "-t", server.address, "--ramp", "-r", "50", "--factor", "2", "--step-seconds", "0.5",
            "--warm-up", "0.2", "--arrivals", "uniform", "--report", str(tmp_path),
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "the knee" in result.output
    assert "Knee: " in result.output
    ramp = json.loads((tmp_path / "report.json").read_text())["ramp"]
    assert 50 <= ramp["knee"] < 100
    assert len(ramp["points"]) >= 3


def test_browse_asks_for_what_is_in_the_mesh(run: Run, target: str) -> None:
    with MarqueeClient(target) as client:
        client.upsert_items([catalog_pb.Item(item_id=f"i{number}", title=f"Title {number}") for number in range(20)])
    result = run("load", "browse", "-r", "40", *SHORT)
    assert result.exit_code == 0, result.output
    assert "20 items of the catalogue" in result.output
    assert "made-up users" in result.output
    assert "writes VIEW events" in result.output
    for step in ("home page", "title page", "titles like it", "page view", "all"):
        assert step in result.output
    with MarqueeClient(target) as client:
        assert client.serving_bundle().event_count > 0


def test_an_answer_that_is_not_as_expected_is_no_good_answer(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"name": "embed", "method": EMBED[1], "request": {"texts": ["a"]}, "expect": {"dimensions": 9}}
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"name": "mine", "steps": [step]}))  # JSON is YAML
    with load_server() as server:
        monkeypatch.setenv("MARQUEE_TEXT_TARGET", server.address)
        result = run("load", str(path), "-r", "30", *SHORT)
    assert result.exit_code == 1  # not one good answer
    assert "UNEXPECTED_ANSWER" in result.output
    assert "dimensions is not 9" in result.output


def test_ctrl_c_ends_it_and_still_reports(tmp_path: Path) -> None:
    with load_server() as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli.main", *EMBED, "-t", server.address, "-r", "50", "--warm-up", "0.2"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 20
        while len(server.texts) < 40:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 130, output
    assert "Ctrl-C ended the run after" in output
    assert "Open loop" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say what to send"),
        (("TextService/EmbedText", "-s", "chat"), "give one of METHOD"),
        (("TextService/EmbedText", "-r", "5", "-c", "5"), "give one of them"),
        (("--ramp", "-c", "5", "-s", "chat"), "--ramp is an open loop"),
        (("TextService/EmbedTxt",), "did you mean: marquee.text.v1.TextService/EmbedText"),
        (("TextService/EmbedText", "-d", "{"), "is not JSON"),
        (("TextService/EmbedText", "-d", "[]"), "must be a JSON object"),
        (("TextService/EmbedText", "-d", '{"text": []}'), "did you mean 'texts'"),
        (("TextService/EmbedText", "--metadata", "a"), "is not KEY=VALUE"),
        (("GRPCInferenceService/ServerLive",), "Name one with --target"),
        (("ModelRepositoryService/ListModels", "--fail-if", "x"), "is no condition"),
        (("inference.GRPCInferenceService/ModelStreamInfer",), "takes a stream of requests"),
        (("-s", "nothing"), "no scenario 'nothing'"),
    ],
)
def test_wrong_input_is_told(run: Run, words: tuple[str, ...], message: str) -> None:
    result = run("load", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_nobody_there_is_told_at_once(run: Run) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    for words in (EMBED, ("load", "--model", "m")):
        result = run(*words, "-t", f"127.0.0.1:{port}", "-r", "5")
        assert result.exit_code == 3, result.output


def test_the_help_teaches_and_the_list_lists(run: Run) -> None:
    assert "marquee load --scenario browse --rate 50" in " ".join(run("load", "--help").output.split())
    listed = run("load", "--list").output
    assert "marquee.text.v1.TextService/EmbedText" in listed
    for name in ("browse", "play", "chat"):
        assert name in listed


def test_without_the_extra_the_advice_is_to_install_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run(*EMBED)
    assert result.exit_code == 2
    assert "marquee[cli,load]" in result.output
