"""What the services add to the models that read texts: `python -m tests.load.text_overhead`.

Starts the text and the classical service as processes, asks each model about one text a call, and compares the
processor time of the service's process with that of the same preparation and run inside this process. Processor time,
so other programs on the machine disturb it little. Each text is new, so no cache answers.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceStub
from marquee.text.v1 import text_service_pb2 as text_pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.classical.pipelines.toxicity import ToxicityPipeline
from services.cli.ports import free_ports
from services.runtime.pipeline import Pipeline
from services.runtime.sources import REPOSITORY_ROOT
from services.text.pipelines.understanding import UnderstandingPipeline
from tests.load.benchmark.server_process import ServerProcess, environment, python, serves_health
from tests.support.repositories import load_on_cpu

_WORDS = (
    "what",
    "a",
    "great",
    "match",
    "you",
    "played",
    "so",
    "well",
    "that",
    "last",
    "round",
    "was",
    "really",
    "close",
)


@dataclass(frozen=True)
class Asked:
    """A model, the service that has it, and how it is asked."""

    model: str
    service: str
    pipeline: Callable[[Any], Pipeline[Any, Any, Any, Any]]

    def call(self, channel: grpc.Channel, text: str) -> object:
        """Ask about one text."""
        if self.service == "text":
            request = text_pb.UnderstandTextRequest(texts=[text], model=self.model)
            return TextServiceStub(channel).UnderstandText(request, timeout=30)
        return ClassicalServiceStub(channel).ScoreToxicity(
            classical_pb.ScoreToxicityRequest(texts=[text], model=self.model), timeout=30
        )

    def in_process(self) -> Callable[[str], object]:
        """Return preparation and run without a service."""
        folder = REPOSITORY_ROOT / "services" / self.service / "models" / self.model / "1"
        pipeline = self.pipeline(load_on_cpu(folder))

        def work(text: str) -> object:
            return [pipeline.run(batch) for batch in pipeline.prepare([text]).batches]

        return work


def models() -> Sequence[Asked]:
    """Return the models that are there."""
    names = ("minilm-understanding", "minilm-sentiment", "recurrent-sentiment", "word-embedding-sentiment")
    there = [name for name in names if (REPOSITORY_ROOT / "services" / "text" / "models" / name).is_dir()]
    asked = [Asked(name, "text", UnderstandingPipeline) for name in there]
    return [*asked, Asked("toxicity-svm", "classical", ToxicityPipeline)]


def main() -> None:
    """Prints a line for each model."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.text_overhead", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="calls of each model (%(default)s)")
    calls = parser.parse_args().calls
    texts = fresh_texts()
    print("processor µs a text      in-process    service      above")
    with services() as running:
        for asked in models():
            work = asked.in_process()
            _repeat(work, texts, max(1, calls // 10))
            begun = time.process_time()
            _repeat(work, texts, calls)
            limit = (time.process_time() - begun) / calls * 1e6
            process = running[asked.service]
            with grpc.insecure_channel(process.address) as channel:
                call = partial(asked.call, channel)
                _repeat(call, texts, max(1, calls // 10))
                before = process.tree.processor_seconds()
                _repeat(call, texts, calls)
                used = (process.tree.processor_seconds() - before) / calls * 1e6
            print(f"{asked.model:24s} {limit:10,.0f} {used:10,.0f} {used - limit:+10,.0f}", flush=True)


def fresh_texts() -> Iterator[str]:
    """Yield texts of 14 words and a number, each another."""
    for number in itertools.count():
        yield " ".join((*_WORDS, str(number)))


@contextmanager
def services() -> Iterator[dict[str, ServerProcess]]:
    """Run the two services, one engine each."""
    names = ("text", "classical")
    with tempfile.TemporaryDirectory(prefix="marquee-overhead-") as folder:
        running = {}
        for name, port in zip(names, free_ports("127.0.0.1", len(names)), strict=True):
            variables = {f"MARQUEE_{name.upper()}_PORT": str(port), f"MARQUEE_{name.upper()}_ENGINES": "1"}
            variables["MARQUEE_DATA_DIRECTORY"] = folder
            command = [python(), "-P", "-m", f"services.{name}.main"]
            log = Path(folder) / f"{name}.log"
            running[name] = ServerProcess(name, command, port, environment(**variables), REPOSITORY_ROOT, log)
        try:
            for process in running.values():
                process.start()
            for process in running.values():
                process.wait(lambda address=process.address: serves_health(address))  # type: ignore[misc]
            yield running
        finally:
            for process in running.values():
                process.stop()


def _repeat(work: Callable[[str], object], texts: Iterator[str], count: int) -> None:
    for text in itertools.islice(texts, count):
        work(text)


if __name__ == "__main__":
    main()
