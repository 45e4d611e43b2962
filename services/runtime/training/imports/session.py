"""Opens a graph that was exported, to compare it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnxruntime

from services.runtime.training.publish import MODEL_FILE, cpu_session


@contextmanager
def opened(graph: bytes, files: Mapping[str, Path], folder: Path) -> Iterator[onnxruntime.InferenceSession]:
    """Open a graph, beside its weights where it has some."""
    if not files:
        yield cpu_session(graph)
        return
    path = folder / MODEL_FILE
    path.write_bytes(graph)
    yield cpu_session(path)
