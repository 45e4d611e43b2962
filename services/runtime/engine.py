"""ONNX Runtime behind one small class: a session that many engines run at the same time, one thread a run.

Two concurrent single-threaded runs use two cores better than one run with two threads, so `intra_op` is always 1 and
the number of engines decides the parallelism.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy
import numpy.typing
import onnxruntime

Tensors = Mapping[str, numpy.typing.NDArray[Any]]
Wanted = Literal["auto", "cpu", "cuda", "tensorrt"]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_DEMANDED = {"cuda": CUDA, "tensorrt": TENSORRT}


class EngineUnavailable(RuntimeError):
    """The demanded execution provider cannot be used on this machine."""


def choose_provider(wanted: Wanted) -> str:
    """Return the execution provider to use: the demanded one; with `auto` CUDA where this onnxruntime has it.

    TensorRT compiles a model for minutes when it is first loaded, so nobody gets it without having asked.

    Raises:
        EngineUnavailable: a GPU was demanded and this onnxruntime does not offer it.
    """
    available = onnxruntime.get_available_providers()
    if wanted == "cpu":
        return CPU
    demanded = _DEMANDED.get(wanted, CUDA)
    if demanded in available:
        return demanded
    if wanted == "auto":
        return CPU
    raise EngineUnavailable(
        f"execution provider {demanded} was demanded but only {', '.join(available)} are available; "
        "install onnxruntime-gpu with its CUDA libraries, or set the execution provider to auto"
    )


class OnnxModel:
    """One loaded graph. `run` may be called from many threads at once.

    Args:
        path: the graph.
        provider: execution provider that must run it.
        half_precision: whether TensorRT may compute in 16 bits; the parity check decides whether that is good enough.
        bind_device: device whose memory holds the tensors of a run; by default that of the provider.

    Raises:
        EngineUnavailable: the session fell back to another provider.
    """

    def __init__(self, path: Path, provider: str, half_precision: bool = False, bind_device: str | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=_provider_list(provider, half_precision)
        )
        used = self._session.get_providers()[0]
        if used != provider:
            raise EngineUnavailable(f"{path.name} runs on {used} although {provider} was chosen")
        self.provider = provider
        self.input_names = [entry.name for entry in self._session.get_inputs()]
        self.output_names = [entry.name for entry in self._session.get_outputs()]
        self._device = bind_device or (None if provider == CPU else "cuda")

    def run(self, feeds: Tensors) -> dict[str, numpy.typing.NDArray[Any]]:
        """Run the graph once and return its outputs by name."""
        outputs = self._session.run(None, feeds) if self._device is None else self._run_bound(feeds, self._device)
        return dict(zip(self.output_names, outputs, strict=True))

    def bind(self, inputs: Tensors, outputs: Tensors) -> BoundRun:
        """Return a run that reads and fills these arrays each time, for a graph that is run again and again on memory
        of the same shape: nothing is allocated or copied between two runs on a CPU.

        Args:
            inputs: every input by name, contiguous.
            outputs: every output by name, contiguous, in the shape that the inputs give.
        """
        return BoundRun(self, self._session, inputs, outputs)

    def _run_bound(self, feeds: Tensors, device: str) -> list[Any]:
        """Run with inputs and outputs in the device's memory: one copy in, one copy out, none between the nodes."""
        binding = self._session.io_binding()
        for name, array in feeds.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(numpy.ascontiguousarray(array), device, 0)
            binding.bind_ortvalue_input(name, value)
        for name in self.output_names:
            binding.bind_output(name, device)
        self._session.run_with_iobinding(binding)
        outputs: list[Any] = binding.copy_outputs_to_cpu()
        return outputs


class BoundRun:
    """A graph bound to arrays; made by `OnnxModel.bind`. One thread at a time may run it."""

    def __init__(
        self, model: OnnxModel, session: onnxruntime.InferenceSession, inputs: Tensors, outputs: Tensors
    ) -> None:
        # Whoever can still run the graph holds the model, and the memory must outlive the binding.
        self._model = model
        self._session = session
        self._inputs = dict(inputs)
        self._outputs = dict(outputs)
        # A GPU copies its inputs when they are bound, not when it runs.
        self._kept = self._bind() if model.provider == CPU else None

    def run(self, moved: Tensors | None = None) -> None:
        """Run the graph once, from the input arrays into the output arrays.

        Args:
            moved: inputs by name that lie somewhere else from now on, in the same shape.
        """
        if moved:
            self._inputs.update(moved)
            if self._kept is not None:
                _bind_all(self._kept.bind_input, moved)
        self._session.run_with_iobinding(self._kept or self._bind())

    def _bind(self) -> Any:
        binding = self._session.io_binding()
        _bind_all(binding.bind_input, self._inputs)
        _bind_all(binding.bind_output, self._outputs)
        return binding


def _bind_all(bind: Callable[..., None], arrays: Tensors) -> None:
    for name, array in arrays.items():
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def _provider_list(provider: str, half_precision: bool) -> list[Any]:
    if provider == TENSORRT:
        cache = Path(tempfile.gettempdir()) / "marquee-tensorrt"
        settings = {
            "trt_fp16_enable": half_precision,
            # Compiled once a machine, not once a start.
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(cache),
        }
        return [(TENSORRT, settings), CUDA, CPU]
    return [provider] if provider == CPU else [provider, CPU]
