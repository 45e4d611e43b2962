"""Tokens a second and time to the first token of GenerateText, 1 and 8 readers: `make bench-generation`.

Starts the text service as a process of its own and compares it with the plain loop that somebody would write in the
process itself: ONNX Runtime, one thread, one text, states handed from run to run, the most probable token each time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy
import numpy.typing
import onnxruntime
from tokenizers import Tokenizer

from marquee.text.v1 import generation_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.cli.ports import free_ports
from services.runtime.repository.manifest import read_manifest
from services.runtime.sources import REPOSITORY_ROOT
from services.text.pipelines.generation.description import GENERATION_FILE, LanguageModelDescription
from tests.load.benchmark.server_process import ServerProcess, environment, python, serves_health
from tests.support.dummy_model import replace_file
from tests.support.language_models import write_decoder, write_recurrent

MODELS = REPOSITORY_ROOT / "services" / "text" / "models"
READERS = (1, 8)
PROMPT = "The film begins with a retired detective who returns for one last case, and"
_TYPES = {"FP16": numpy.float16, "FP32": numpy.float32}


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        tokens_a_second: of all readers together.
        first_token_milliseconds: median time to the first token.
        processor_microseconds: processor time of a token.
    """

    tokens_a_second: float
    first_token_milliseconds: float
    processor_microseconds: float


class PlainLoop:
    """A language model in this process, without any of Marquee."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._description = LanguageModelDescription.model_validate_json((folder / GENERATION_FILE).read_bytes())
        self._types = {one.name: _TYPES.get(one.datatype) for one in read_manifest(folder).inputs}
        self._names = {one.name for one in self._session.get_inputs()}

    def generate(self, count: int) -> float:
        """Make so many tokens; returns seconds to the first."""
        description, start = self._description, time.perf_counter()
        tokens = self._tokenizer.encode(PROMPT, add_special_tokens=False).ids
        if description.begin_token is not None:
            tokens = [description.begin_token, *tokens]
        states: list[Any] = [numpy.zeros(one.sized(1, 0), self._types[one.input]) for one in description.states]
        names = ["logits", *(one.output for one in description.states)]
        before, first = 0, 0.0
        for _ in range(count):
            total = before + len(tokens)
            feeds: dict[str, Any] = {
                "input_ids": numpy.array([tokens]),
                "attention_mask": numpy.ones((1, total), numpy.int64),
                "position_ids": numpy.arange(before, total)[None],
            }
            feeds = {name: value for name, value in feeds.items() if name in self._names}
            feeds.update(zip((one.input for one in description.states), states, strict=True))
            logits, *states = self._session.run(names, feeds)
            tokens, before = [int(logits[0, -1].argmax())], total
            first = first or time.perf_counter() - start
        return first


def in_process(folder: Path, count: int, rounds: int) -> Speed:
    """Measure the plain loop on one thread."""
    loop = PlainLoop(folder)
    loop.generate(8)
    begin, used = time.perf_counter(), time.process_time()
    firsts = [loop.generate(count) for _ in range(rounds)]
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    tokens = rounds * count
    return Speed(tokens / seconds, float(numpy.median(firsts)) * 1000, used / tokens * 1e6)


async def through_server(server: ServerProcess, model: str, readers: int, count: int, rounds: int) -> Speed:
    """Measure so many readers at once, each of whom reads `rounds` texts one after the other."""
    # The most probable tokens, as in the plain loop.
    options = pb.GenerationOptions(max_tokens=count, temperature=0, seed=1)
    request = pb.GenerateTextRequest(prompt=PROMPT, model=model, options=options)
    firsts: list[float] = []
    made = 0

    async def read(stub: Any, times: int) -> None:
        nonlocal made
        for _ in range(times):
            begin, first = time.perf_counter(), 0.0
            async for reply in stub.GenerateText(request, timeout=600):
                first = first or time.perf_counter() - begin
                made += reply.usage.generated_tokens
            firsts.append(first)

    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = text_service_pb2_grpc.TextServiceStub(channel)
        await read(stub, 1)
        firsts.clear()
        made = 0
        begin, used = time.perf_counter(), server.tree.processor_seconds()
        await asyncio.gather(*(read(stub, rounds) for _ in range(readers)))
        seconds, used = time.perf_counter() - begin, server.tree.processor_seconds() - used
    return Speed(made / seconds, float(numpy.median(firsts)) * 1000, used / made * 1e6)


def language_models(models: Path) -> Sequence[Path]:
    """Return the version folders of all language models below a model repository."""
    return [path.parent for path in sorted(models.glob(f"*/*/{GENERATION_FILE}"))]


def write_random_models(root: Path) -> None:
    """Write models of random weights as large as small real ones, which never end a text."""
    never = -1e9
    write_decoder(root, layers=6, heads=6, head_width=64, context=512, end=never)
    write_recurrent(root, width=512, end=never)


def main() -> None:
    """Measure every language model and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-generation", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="model repository (the committed one)")
    parser.add_argument("--random", action="store_true", help="random models instead: speed without weights")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a text (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="texts of a reader (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="times all is measured; the best counts (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        models = options.models
        if options.random:
            models = Path(scratch) / "models"
            write_random_models(models)
        folders = language_models(models)
        if not folders:
            parser.error(f"{models} holds no language model; try ARGS=--random")
        only = Path(scratch) / "only"
        for folder in folders:
            _copy_endless(folder, only / folder.parent.name / folder.name)
        _measure(only, folders, options.tokens, options.rounds, options.repeats, Path(scratch) / "server.log")


def _copy_endless(source: Path, target: Path) -> None:
    """Copy a version whose texts never end by themselves, so that all are of one length."""
    shutil.copytree(source, target)
    document = json.loads((target / GENERATION_FILE).read_text())
    document["end_tokens"] = []
    replace_file(target, GENERATION_FILE, json.dumps(document).encode())


def _measure(models: Path, folders: Sequence[Path], tokens: int, rounds: int, repeats: int, log: Path) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    variables = environment(
        MARQUEE_TEXT_PORT=str(port),
        MARQUEE_TEXT_MODEL_REPOSITORY=str(models),
        MARQUEE_TEXT_DEFAULT_MODEL=folders[0].parent.name,
        MARQUEE_TEXT_VERSION_POLICIES=json.dumps({"*": "all"}),
    )
    command = [python(), "-m", "services.text.main"]
    server = ServerProcess("text service", command, port, variables, REPOSITORY_ROOT, log)
    row = "{:32} {:>10} {:>14} {:>16} {:>14}"
    print(row.format("model, readers", "tokens/s", "first token ms", "CPU µs a token", "above in-process"))
    server.start()
    try:
        server.wait(lambda: serves_health(server.address), seconds=120)
        for folder in folders:
            name = folder.parent.name
            found: dict[str, list[Speed]] = {}
            for _ in range(repeats):
                found.setdefault("in-process", []).append(in_process(folder, tokens, rounds))
                for readers in READERS:
                    speed = asyncio.run(through_server(server, name, readers, tokens, rounds))
                    found.setdefault(str(readers), []).append(speed)
            plain = _best(found["in-process"])
            for title, speeds in found.items():
                best = _best(speeds)
                above = f"{best.processor_microseconds - plain.processor_microseconds:+.0f} µs"
                print(row.format(f"{name}, {title}", *_figures(best), above if best != plain else ""), flush=True)
    finally:
        server.stop()


def _best(speeds: Sequence[Speed]) -> Speed:
    """Return the best of each figure: what else runs on the machine only makes them worse."""
    return Speed(
        max(speed.tokens_a_second for speed in speeds),
        min(speed.first_token_milliseconds for speed in speeds),
        min(speed.processor_microseconds for speed in speeds),
    )


def _figures(speed: Speed) -> Sequence[str]:
    return (
        f"{speed.tokens_a_second:.0f}",
        f"{speed.first_token_milliseconds:.1f}",
        f"{speed.processor_microseconds:.0f}",
    )


if __name__ == "__main__":
    main()
