"""The models that are measured: two written here, two of the services' own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import numpy.typing
import yaml

from services.runtime.sources import REPOSITORY_ROOT, DataSettings
from services.runtime.training.publish import publish_version
from tests.load.benchmark.graphs import TRIVIAL_WIDTH, forest_graph, trivial_graph

if TYPE_CHECKING:
    import onnx

Tensors = Mapping[str, numpy.typing.NDArray[Any]]

FOREST_TREES = 200
FOREST_FEATURES = 32
_DIGITS = "digits.npy"
_TOLERANCE = {"CPUExecutionProvider": {"max_difference": 1e-5, "decision_flips": 0}}


@dataclass(frozen=True)
class BenchmarkModel:
    """One version folder, the service of ours that serves it, and its manifest."""

    name: str
    service: str
    folder: Path

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.folder / "model.onnx"

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of model.yaml."""
        return dict(_read_yaml(self.folder / "model.yaml"))


@lru_cache
def _read_yaml(path: Path) -> Mapping[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def data_folder() -> Path:
    """Return the folder that the benchmark works in."""
    return DataSettings().data_directory / "benchmark"


def models() -> dict[str, BenchmarkModel]:
    """Return the models by name, writing those that are not there yet."""
    repository = data_folder() / "models"
    if not (repository / "trivial" / "1" / "model.yaml").exists():
        _publish(repository, "trivial", trivial_graph(), _trivial_rows(4), "values", [-1, TRIVIAL_WIDTH], "doubled")
    if not (repository / "digit-forest" / "1" / "model.yaml").exists():
        _publish_forest(repository)
    services = REPOSITORY_ROOT / "services"
    return {
        "trivial": BenchmarkModel("trivial", "classical", repository / "trivial" / "1"),
        "forest": BenchmarkModel("digit-forest", "classical", repository / "digit-forest" / "1"),
        "minilm": BenchmarkModel(
            "minilm-sentence-vectors", "text", services / "text" / "models" / "minilm-sentence-vectors" / "1"
        ),
        "cnn": BenchmarkModel(
            "efficientnet-lite0", "vision", services / "vision" / "models" / "efficientnet-lite0" / "1"
        ),
    }


def digit_features() -> numpy.typing.NDArray[numpy.float32]:
    """Return float32[1797, 32]: the 32 pixels of handwritten digits that vary most, whole numbers from 0 to 16."""
    models()
    found: numpy.typing.NDArray[numpy.float32] = numpy.load(data_folder() / _DIGITS)
    return found


def _publish_forest(repository: Path) -> None:
    # Seconds to import, and only the first benchmark on a machine fits the forest.
    from sklearn.datasets import load_digits  # noqa: PLC0415
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    digits = load_digits()
    chosen = numpy.sort(numpy.argsort(digits.data.var(axis=0), kind="stable")[-FOREST_FEATURES:])
    rows = numpy.ascontiguousarray(digits.data[:, chosen], numpy.float32)
    forest = RandomForestClassifier(FOREST_TREES, random_state=0, n_jobs=1).fit(rows, digits.target)
    numpy.save(data_folder() / _DIGITS, rows)
    graph = forest_graph(forest, FOREST_FEATURES)
    _publish(repository, "digit-forest", graph, rows[:4], "features", [-1, FOREST_FEATURES], "probabilities", 10)


def _trivial_rows(count: int) -> numpy.typing.NDArray[numpy.float32]:
    return numpy.random.default_rng(0).normal(size=(count, TRIVIAL_WIDTH)).astype(numpy.float32)


def _publish(
    repository: Path,
    name: str,
    graph: onnx.ModelProto,
    rows: numpy.typing.NDArray[numpy.float32],
    input_name: str,
    input_shape: list[int],
    output_name: str,
    output_width: int = TRIVIAL_WIDTH,
) -> None:
    manifest = {
        "name": name,
        "version": "1",
        "task": "tensors",
        "description": "Measures the runtime.",
        "license": "Apache-2.0",
        "source": "written by the benchmark",
        "required": True,
        "inputs": [{"name": input_name, "datatype": "FP32", "shape": input_shape}],
        "outputs": [{"name": output_name, "datatype": "FP32", "shape": [-1, output_width]}],
        "batching": {"max_batch": 1, "cost_unit": "rows"},
        "placement": {"prepare": "inline", "run": "inline", "finish": "inline"},
        "golden": {"tolerance": _TOLERANCE},
        "warmup_runs": 2,
    }
    publish_version(repository / name / "1", manifest, graph, {}, [{input_name: rows}], f"# {name}\n")
