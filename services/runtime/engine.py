"""ONNX Runtime behind one small class: sessions that share a pool of engines, one thread a run.

Two concurrent single-threaded runs use two cores better than one run with two threads, so `intra_op` is always 1 and
the number of
engines decides the parallelism.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import numpy
import numpy.typing
import onnxruntime

Tensors = Mapping[str, numpy.typing.NDArray[numpy.generic]]
ResultT = TypeVar("ResultT")

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


class EngineUnavailable(RuntimeError):
    """The demanded execution provider cannot be used on this machine."""


def choose_provider(wanted: Literal["auto", "cpu", "cuda"]) -> str:
    """Return the execution provider to use.

    Raises:
        EngineUnavailable: CUDA was demanded and this onnxruntime does not offer it.
    """
    available = onnxruntime.get_available_providers()
    if wanted == "cpu":
        return CPU
    if CUDA in available:
        return CUDA
    if wanted == "cuda":
        raise EngineUnavailable(
            f"execution provider {CUDA} was demanded but only {', '.join(available)} are available; "
            "install onnxruntime-gpu with its CUDA libraries, or set the execution provider to auto"
        )
    return CPU


class OnnxModel:
    """One loaded graph. `run` may be called from many threads at once."""

    def __init__(self, path: Path, provider: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        providers = [provider] if provider == CPU else [provider, CPU]
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        used = self._session.get_providers()[0]
        if used != provider:
            raise EngineUnavailable(f"{path.name} runs on {used} although {provider} was chosen")
        self.provider = provider
        self.input_names = [entry.name for entry in self._session.get_inputs()]
        self.output_names = [entry.name for entry in self._session.get_outputs()]

    def run(self, feeds: Tensors) -> dict[str, numpy.typing.NDArray[numpy.generic]]:
        """Run the graph once and return its outputs by name."""
        return dict(zip(self.output_names, self._session.run(None, dict(feeds)), strict=True))


class EnginePool:
    """The threads that run models: as many at a time as there are engines."""

    def __init__(self, engines: int) -> None:
        self.engines = engines
        self._threads = ThreadPoolExecutor(engines, thread_name_prefix="engine")

    async def submit(self, work: Callable[[], ResultT]) -> ResultT:
        """Run `work` on an engine. Work that is cancelled before it starts never runs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for the runs in progress and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)
