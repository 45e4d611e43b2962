"""`make bench-gpu`: the same models on CUDA and TensorRT; says so and ends well where there is no GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import onnxruntime
from rich.console import Console
from rich.table import Table

from tests.load.benchmark.results import Journal, Spread
from tests.load.benchmark.rounds import Bench, Lengths
from tests.load.benchmark.systems import Marquee
from tests.load.benchmark.workloads import Workload, workloads

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
WORKLOADS = ("minilm", "cnn", "cnn-jpeg", "minilm-text")
BATCHES = (1, 32)
SECONDS = 1.0


def run(console: Console, rounds: int) -> int:
    """Measure in-process and through Marquee; returns the exit status."""
    problem = missing()
    if problem:
        console.print(f"Nothing to measure: {problem}.")
        return 0
    chosen = list(workloads(WORKLOADS).values())
    table = Table("workload", "provider", "rows a run", "copies", "items/s", title="In-process on the GPU, one caller")
    for workload in [one for one in chosen if one.is_open_inference]:
        for row in _in_process(workload, rounds):
            table.add_row(workload.name, *row)
    console.print(table)
    journal = Journal(None)
    bench = Bench(chosen, journal, Lengths(), console.print)
    for number in range(1, rounds + 1):
        for provider in _served():
            system = Marquee({"EXECUTION_PROVIDER": provider})
            system.name = f"marquee-{provider}"
            bench.system(system, number)
    table = Table("workload", "provider", "requests/s", "CPU µs a request", "p99 ms", title="Marquee, 32 callers")
    for workload in chosen:
        for provider in _served():
            cells = journal.of(f"marquee-{provider}", workload.name)
            if cells:
                rate = Spread.of([one.rate for one in cells]).words()
                used = Spread.of([one.processor_microseconds for one in cells]).words()
                table.add_row(
                    workload.name, provider, rate, used, Spread.of([one.latency[2] * 1e3 for one in cells]).words(1)
                )
    console.print(table)
    for failure in journal.failures:
        console.print(f"[red]{failure.system} · {failure.workload}: {failure.reason}")
    return 0


def missing() -> str | None:
    """Return why no GPU can be used; None when one can."""
    if CUDA not in onnxruntime.get_available_providers():
        return "this ONNX Runtime is a build without CUDA (`make bench-gpu` installs the other where a GPU is)"
    session = _session(next(iter(workloads(["trivial"]).values())), CUDA)
    return None if CUDA in session.get_providers() else "there is no GPU that CUDA can use"


def _served() -> Iterator[str]:
    yield "cuda"
    if TENSORRT in onnxruntime.get_available_providers():
        yield "tensorrt"


def _session(workload: Workload, provider: str, half: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    details: dict[str, Any] = {"trt_fp16_enable": half} if provider == TENSORRT else {}
    return onnxruntime.InferenceSession(
        str(workload.model.graph),
        options,
        providers=[(provider, details), CUDA, "CPUExecutionProvider"]
        if provider == TENSORRT
        else [provider, "CPUExecutionProvider"],
    )


def _in_process(workload: Workload, rounds: int) -> Iterator[list[str]]:
    forms = [(CUDA, False)]
    if TENSORRT in onnxruntime.get_available_providers():
        forms += [(TENSORRT, False), (TENSORRT, True)]
    for provider, half in forms:
        session = _session(workload, provider, half)
        words = provider.removesuffix("ExecutionProvider") + (" fp16" if half else "")
        for rows in BATCHES:
            feeds = {
                name: numpy.concatenate([workload.tensors[row % len(workload.tensors)][name] for row in range(rows)])
                for name in workload.tensors[0]
            }
            works: dict[str, Callable[[], object]] = {
                "by ONNX Runtime": lambda session=session, feeds=feeds: session.run(None, feeds),  # type: ignore[misc]
                "I/O binding": _bound(session, feeds),
            }
            for copies, work in works.items():
                rates = Spread.of([rows * _rate(work) for _ in range(rounds)])
                yield [words, str(rows), copies, rates.words()]


def _bound(session: onnxruntime.InferenceSession, feeds: dict[str, Any]) -> Callable[[], object]:
    """Return a run whose inputs are copied to the GPU and whose outputs stay there until asked for."""
    binding = session.io_binding()
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value, "cuda", 0) for name, value in feeds.items()}
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def work() -> object:
        for name, value in values.items():
            value.update_inplace(feeds[name])
            binding.bind_ortvalue_input(name, value)
        session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()

    return work


def _rate(work: Callable[[], object]) -> float:
    for _ in range(5):
        work()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        work()
        count += 1
    return count / (time.perf_counter() - start)
