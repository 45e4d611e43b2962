"""Where models run: the execution provider of a process, and what happens when it does not work."""

from __future__ import annotations

from pathlib import Path

from services.runtime.engine import CPU, EngineUnavailable, OnnxModel, Wanted, choose_provider
from services.runtime.logs import get_logger

_logger = get_logger(__name__)


class ModelOpener:
    """Opens graphs on the execution provider of the settings. May be used from several threads.

    A build of onnxruntime may offer a GPU that this machine does not have, which only opening a graph shows. With
    `auto` the process then takes the CPU for good, and says so; with a demanded one the graph is refused.

    Args:
        wanted: execution provider of the settings.
        half_precision: whether a GPU may compute in 16 bits where it can choose.
    """

    def __init__(self, wanted: Wanted, half_precision: bool = False) -> None:
        self._wanted = wanted
        self._half_precision = half_precision
        self._provider: str | None = None

    @property
    def provider(self) -> str:
        """Return the execution provider in use.

        Raises:
            EngineUnavailable: the demanded one is not part of this onnxruntime.
        """
        if self._provider is None:
            self._provider = choose_provider(self._wanted)
        return self._provider

    def open(self, path: Path) -> OnnxModel:
        """Open a graph.

        Raises:
            EngineUnavailable: the demanded execution provider does not work here.
        """
        provider = self.provider
        try:
            return OnnxModel(path, provider, self._half_precision)
        except EngineUnavailable as error:
            if self._wanted != "auto" or provider == CPU:
                raise
            _logger.warning("no working GPU: models run on the CPU", wanted=provider, reason=str(error))
            self._provider = CPU
            return OnnxModel(path, CPU)
