"""The limit: the same models in ONNX Runtime without any server, `python -m tests.load.benchmark.in_process`.

Reads `{"workloads": [...], "seconds": ..., "provider": ...}` from standard input and writes one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import numpy
import onnxruntime
from tokenizers import Tokenizer

from services.vision.pipelines.image_decoding import decode_image
from tests.load.benchmark.load import repeatedly
from tests.load.benchmark.models import Tensors
from tests.load.benchmark.workloads import CLASSIFY_IMAGE, EMBED_TEXT, Workload, workloads

LARGEST_BATCH = 32
"""Rows of a run that is tried beside single rows."""


def open_session(workload: Workload, provider: str = "CPUExecutionProvider") -> onnxruntime.InferenceSession:
    """Open the graph as the services do: one thread a run, no spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(workload.model.graph), options, providers=[provider])


def one_item(workload: Workload, session: onnxruntime.InferenceSession) -> Callable[[], object]:
    """Return the work of one request: what the request carries, decoded or tokenised, then one run."""
    outputs = [output.name for output in session.get_outputs()]
    if workload.method == EMBED_TEXT:
        tokenizer = Tokenizer.from_file(str(workload.model.folder / "tokenizer.json"))
        tokenizer.no_padding()
        texts = cycle(workload.raw)
        return lambda: session.run(outputs, _tokens(tokenizer, str(next(texts))))
    if workload.method == CLASSIFY_IMAGE:
        pictures = cycle(one for one in workload.raw if isinstance(one, bytes))
        return lambda: session.run(outputs, {"pixels": decode_image(next(pictures))[None]})
    tensors = cycle(workload.tensors)
    return lambda: session.run(outputs, next(tensors))


def _tokens(tokenizer: Tokenizer, text: str) -> Tensors:
    encoding = tokenizer.encode(text)
    return {
        "input_ids": numpy.array([encoding.ids], numpy.int64),
        "attention_mask": numpy.array([encoding.attention_mask], numpy.int64),
    }


def on_all_cores(works: Sequence[Callable[[], object]], seconds: float) -> tuple[float, float]:
    """Return runs a second of one thread for each of `works`, all at the same time, and processor seconds of a run."""
    counts = [0] * len(works)
    end = time.perf_counter() + seconds

    def run(number: int) -> None:
        while time.perf_counter() < end:
            works[number]()
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    start, used = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = sum(counts)
    return runs / (time.perf_counter() - start), (time.process_time() - used) / runs


def measure(workload: Workload, seconds: float, provider: str) -> dict[str, float]:
    """Return processor µs of an item on one core and with all cores busy, and items a second on all cores."""
    session = open_session(workload, provider)
    count, _, used = repeatedly(one_item(workload, session), seconds)
    cores = len(os.sched_getaffinity(0))
    single, crowded = on_all_cores([one_item(workload, session) for _ in range(cores)], seconds)
    rates = [single]
    if workload.is_open_inference:
        stacked = {
            name: numpy.concatenate(
                [workload.tensors[row % len(workload.tensors)][name] for row in range(LARGEST_BATCH)]
            )
            for name in workload.tensors[0]
        }
        batched: list[Callable[[], object]] = [partial(session.run, None, stacked) for _ in range(cores)]
        rates.append(LARGEST_BATCH * on_all_cores(batched, seconds)[0])
    return {
        "processor_microseconds": used / count * 1e6,
        "processor_microseconds_on_all_cores": crowded * 1e6,
        "rate": max(rates),
        "rate_of_single_rows": single,
    }


def main() -> None:
    """Measure what standard input asks for."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    chosen = workloads(order["workloads"])
    found = {name: measure(one, order["seconds"], order["provider"]) for name, one in chosen.items()}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
