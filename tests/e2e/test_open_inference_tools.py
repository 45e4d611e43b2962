"""The tools that people already have work unchanged against every model service: `tritonclient`, `perf_analyzer` and
`grpcurl`.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.perf_analyzer import (
    PROGRAM,
    PerfAnalyzerUnavailable,
    infer_per_second,
    perf_analyzer_environment,
)
from tests.support.processes import service_process
from tests.support.tensor_models import FEATURES, write_forest_model

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

EXERCISE = Path(__file__).parent / "triton_client" / "exercise.py"
GRPCURL = Path(sys.executable).parent / "grpcurl"
CONTRACT = "inference.GRPCInferenceService"
ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Tool:
    """What the tools ask one service.

    Attributes:
        inputs: name → (datatype, shape, value of every element).
        shape: of the output.
        options: of perf_analyzer: lengths of the free axes, or none.
    """

    service: str
    contract: str
    model: str
    inputs: dict[str, tuple[str, Sequence[int], float]]
    output: str
    shape: Sequence[int]
    options: Sequence[str] = field(default_factory=tuple)


TEXT = Tool(
    "text",
    "marquee.text.v1.TextService",
    "word-embedding",
    {"input_ids": ("INT64", [2, 4], 2023), "attention_mask": ("INT64", [2, 4], 1)},
    "vectors",
    [2, 256],
    ["--shape", "input_ids:4", "--shape", "attention_mask:4"],
)
VISION = Tool(
    "vision",
    "marquee.vision.v1.VisionService",
    "efficientnet-lite0",
    {"pixels": ("UINT8", [1, 224, 224, 3], 120)},
    "probabilities",
    [1, 1000],
)
CLASSICAL = Tool(
    "classical",
    "marquee.classical.v1.ClassicalService",
    "forest-values",
    {"features": ("FP32", [3, FEATURES], 0.5)},
    "values",
    [3, 1],
)
each_service = pytest.mark.parametrize("tool", [TEXT, VISION, CLASSICAL], ids=lambda tool: tool.service)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """Three real services, started at the same time; the classical one with a forest in its repository."""
    forest = tmp_path_factory.mktemp("classical")
    write_forest_model(forest)
    async with AsyncExitStack() as stack:
        processes = {
            "text": await stack.enter_async_context(service_process("text")),
            "vision": await stack.enter_async_context(service_process("vision")),
            "classical": await stack.enter_async_context(service_process("classical", model_repository=forest)),
        }
        ports = await asyncio.gather(*(process.event("serving") for process in processes.values()))
        yield {name: f"127.0.0.1:{event['port']}" for name, event in zip(processes, ports, strict=True)}


async def run(
    command: Sequence[str], environment: dict[str, str] | None = None, status: int = 0, typed: str = ""
) -> str:
    """Run a program to its end and return what it printed."""
    finished = await asyncio.to_thread(
        subprocess.run,
        command,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=100,
    )
    printed: str = finished.stdout + finished.stderr
    assert finished.returncode == status, f"{' '.join(command)[:500]}\n{printed[-4000:]}"
    return printed


async def grpcurl(address: str, *arguments: str, data: str = "", status: int = 0) -> str:
    """Run grpcurl against a service."""
    payload = ["-d", "@"] if data else []
    return await run([str(GRPCURL), "-plaintext", *payload, address, *arguments], status=status, typed=data)


def json_request(tool: Tool) -> str:
    """Return a ModelInfer request as a person would type it."""
    fields = {"INT64": "int64_contents", "FP32": "fp32_contents", "UINT8": "uint_contents"}
    inputs = []
    for name, (datatype, shape, value) in tool.inputs.items():
        contents = {fields[datatype]: [value] * math.prod(shape)}
        inputs.append({"name": name, "datatype": datatype, "shape": shape, "contents": contents})
    return json.dumps({"model_name": tool.model, "inputs": inputs, "outputs": [{"name": tool.output}]})


@each_service
async def test_tritonclient_works_unchanged(tool: Tool, addresses: dict[str, str]) -> None:
    printed = await run(
        [sys.executable, str(EXERCISE), addresses[tool.service], tool.model, json.dumps(tool.inputs), tool.output]
    )
    seen = json.loads(printed[printed.index("{") :])
    refusal, sequence = seen.pop("refusal"), seen.pop("sequence")
    assert refusal[0] == "StatusCode.INVALID_ARGUMENT"
    assert "surprise" in refusal[1]
    assert "parameters[sequence_" in sequence
    assert seen.pop("index")[tool.model] == "UNAVAILABLE"
    assert seen.pop("statistics")[0] >= tool.shape[0]
    assert seen.pop("max_batch_size") >= 1
    assert seen == {
        "live": True,
        "ready": True,
        "server": f"marquee-{tool.service}",
        "metadata": list(tool.inputs),
        "id": "7",
        "shape": list(tool.shape),
        "finite": True,
        "async_equal": True,
        "stream": ["0", "error", "2", "3", "4"],
        "ready_after_unload": False,
        "ready_after_load": True,
        "aio": [list(tool.shape)] * 4,
    }


@pytest.mark.parametrize("mode", [[], ["--streaming"]], ids=["calls", "stream"])
@each_service
async def test_perf_analyzer_works_unchanged(
    tool: Tool, mode: list[str], addresses: dict[str, str], tmp_path: Path
) -> None:
    try:
        environment = await asyncio.to_thread(perf_analyzer_environment)
    except PerfAnalyzerUnavailable as reason:
        pytest.skip(str(reason))
    data = tmp_path / "data.json"
    # One row a request; the program adds the batch axis itself.
    rows = {name: [value] * (4 if tool is TEXT else 1) for name, (_, _, value) in tool.inputs.items()}
    data.write_text(json.dumps({"data": [rows]}), encoding="utf-8")
    given = ["--input-data", str(data) if tool is TEXT else "random"]
    report = await run(
        [
            str(PROGRAM),
            *("-m", tool.model, "-u", addresses[tool.service], "-i", "grpc", "--concurrency-range", "2"),
            *("--measurement-interval", "500", "--max-trials", "3", "--stability-percentage", "999"),
            *given,
            *tool.options,
            *mode,
        ],
        environment,
    )
    assert infer_per_second(report) > 1
    assert "Server:" in report


@each_service
async def test_grpcurl_lists_and_describes_through_reflection(tool: Tool, addresses: dict[str, str]) -> None:
    address = addresses[tool.service]
    listed = (await grpcurl(address, "list")).split()
    assert {CONTRACT, tool.contract, "grpc.health.v1.Health"} <= set(listed)
    described = await grpcurl(address, "describe", CONTRACT)
    for method in ("ModelInfer", "ModelStreamInfer", "ModelStatistics", "RepositoryModelLoad"):
        assert f"rpc {method} (" in described
    assert "raw_input_contents" in await grpcurl(address, "describe", "inference.ModelInferRequest")


@each_service
async def test_grpcurl_asks_for_the_health_of_each_contract(tool: Tool, addresses: dict[str, str]) -> None:
    address = addresses[tool.service]
    questions = [json.dumps({"service": contract}) for contract in ("", CONTRACT, tool.contract)]
    for asked in questions:
        assert '"SERVING"' in await grpcurl(address, "grpc.health.v1.Health/Check", data=asked)
    # A watch goes on until its deadline.
    watch = [str(GRPCURL), "-plaintext", "-max-time", "1", "-d", "@", address, "grpc.health.v1.Health/Watch"]
    for watched in await asyncio.gather(*(run(watch, status=68, typed=asked) for asked in questions)):
        assert watched.count('"SERVING"') == 1


@each_service
async def test_grpcurl_infers_with_json(tool: Tool, addresses: dict[str, str]) -> None:
    address = addresses[tool.service]
    answered: Any = json.loads(await grpcurl(address, f"{CONTRACT}/ModelInfer", data=json_request(tool)))
    assert answered["outputs"][0]["shape"] == [str(length) for length in tool.shape]
    refused = await grpcurl(address, f"{CONTRACT}/ModelInfer", data='{"model_name": "nope"}', status=69)
    assert "no model 'nope'" in refused
    assert "google.rpc.ErrorInfo" in refused


async def test_the_examples_of_the_documentation_run(addresses: dict[str, str]) -> None:
    try:
        environment = await asyncio.to_thread(perf_analyzer_environment)
    except PerfAnalyzerUnavailable as reason:
        pytest.skip(str(reason))
    blocks = BLOCK.findall((ROOT / "docs" / "open-inference.md").read_text(encoding="utf-8"))
    assert [language for language, _ in blocks] == ["python", "bash", "bash"]
    for language, code in blocks:
        # Beside other tests no figure is steady, so any is taken.
        steady = code.replace("--stability-percentage 30", "--stability-percentage 999 --max-trials 3")
        here = steady.replace("localhost:50061", addresses["text"])
        command = [sys.executable, "-c", here] if language == "python" else ["bash", "-euo", "pipefail", "-c", here]
        assert await run(command, environment)
