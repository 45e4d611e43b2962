"""Writes fitted behaviour models into a model repository, each with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from services.classical.behaviour_features import FEATURES
from services.classical.training.behaviour.comparison import UNITS, Comparison, table
from services.classical.training.behaviour.models import FOREST, GRADIENT, SVM
from services.classical.training.behaviour.rows import VALUE
from services.classical.training.behaviour.segments import fit_segments, segment_graph
from services.runtime.training.publish import publish_version

_LARGEST_DIFFERENCE = 2e-3
_GOLDEN_ROWS = 32
_SEGMENTS = "segments"

_METHODS = {
    GRADIENT: "Generalised linear model (logistic or Poisson) fitted by gradient descent (L-BFGS).",
    SVM: "Support vector machine with a Gaussian kernel: classification for probabilities, regression for amounts.",
    FOREST: "Random forest of 60 trees of at most 64 leaves.",
}
_CARD = """\
# {name}

{method} Answers: {unit}.

Fitted on purchases at CDNOW (P. Fader, B. Hardie; from PyPI `lifetimes` 0.11.3) and, but for value, on film ratings
of MovieLens-100K (from PyPI `recbole` 1.2.1): 60 % of the users, calibrated on 10 %, measured on the other 30 %, whom
no fit has seen. CDNOW: 39 weeks known, 39 weeks ahead. MovieLens: four moments, 14 days ahead. Rebuilt and measured
again, with the same figures, by `python -m services.classical.training`.

Inputs: `features` float32[R, {width}], as `services/classical/behaviour_features.py` makes them, in this order:
{features}.
Times are measured in horizons. Output: `value`.

## Held-out users

{table}

BG/NBD with Gamma-Gamma (Fader, Hardie, Lee 2005; Fader, Hardie 2013) was fitted on the same users; its parameters on
the published sample are the published ones (tested). {note}

## Limits

- Two logs from 1997 and 1998, one of purchases, one of ratings: on other data, look at the figures before trusting
  them, or fit anew.
- Users without any event get no prediction.
"""
_NOTES = {
    SVM: "For value it says what is typical (small absolute error), not what is expected on average: people who buy "
    "nothing again are the majority.",
}


def publish_all(found: Comparison, root: Path) -> None:
    """Writes `<root>/<task>-<family>/1` for each model, and `<root>/segments/1`.

    Raises:
        ValueError: A graph does not answer what the fitted model answers.
    """
    golden = [{"features": found.test_rows.features[:_GOLDEN_ROWS]}]
    for task, families in found.models.items():
        for family, model in families.items():
            name = f"{task}-{family}"
            graph = model.graph().SerializeToString(deterministic=True)
            _check(name, graph, found.test_rows.features[:2_000], model.predict(found.test_rows.features[:2_000]))
            card = _CARD.format(
                name=name,
                method=_METHODS[family],
                unit=UNITS[task],
                width=len(FEATURES),
                features=", ".join(FEATURES),
                table=table(found.figures, task),
                note=_NOTES.get(family, ""),
            )
            manifest = _manifest(name, task, f"{_METHODS[family]} Answers: {UNITS[task]}.", "FP32")
            publish_version(root / name / "1", manifest, graph, {}, golden, card)
    _publish_segments(found, root, golden)


def _publish_segments(found: Comparison, root: Path, golden: list[Any]) -> None:
    means, weights, centres, names = fit_segments(found.fit_rows)
    graph = segment_graph(means, weights, centres).SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (places,) = session.run(None, {"features": found.fit_rows.features})
    shares = np.bincount(places, minlength=len(names)) / len(places)
    rows = "\n".join(f"| {name} | {share:.1%} |" for name, share in zip(names, shares, strict=True))
    card = (
        f"# segments\n\nUsers in {len(names)} groups by how often, how lately, at what intervals and how much (k-means "
        "over standardised features, fitted on the users of CDNOW and MovieLens-100K). "
        "`python -m services.classical.training` rebuilds it.\n\n"
        f"| segment | share |\n|---|---|\n{rows}\n"
    )
    manifest = _manifest(_SEGMENTS, "segment", "Groups of users with alike behaviour (k-means).", "INT64")
    labels = "".join(f"{name}\n" for name in names).encode()
    publish_version(
        root / _SEGMENTS / "1", manifest | {"labels": "labels.txt"}, graph, {"labels.txt": labels}, golden, card
    )


def _check(name: str, graph: bytes, features: Any, expected: Any) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (answered,) = session.run(None, {"features": features})
    worst = float((np.abs(answered - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not worst <= _LARGEST_DIFFERENCE:
        raise ValueError(f"{name}: its graph is off by {worst:.2g}")


def _manifest(name: str, task: str, description: str, datatype: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1",
        "task": f"behaviour-{task}",
        "description": description,
        "license": "Apache-2.0" if task == VALUE else "Apache-2.0; MovieLens-100K, fitted on, is for research",
        "source": "fitted on PyPI lifetimes 0.11.3" + ("" if task == VALUE else " and recbole 1.2.1"),
        "required": True,
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, len(FEATURES)]}],
        "outputs": [{"name": "value", "datatype": datatype, "shape": [-1]}],
        "batching": {"max_batch": 256, "cost_unit": "rows", "exact_length": False},
        "placement": {"prepare": "inline", "run": "inline", "finish": "inline"},
        "limits": {},
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": 0.01, "decision_flips": 0},
                "CUDAExecutionProvider": {"max_difference": 0.05, "decision_flips": 1},
            }
        },
        "warmup_runs": 2,
    }
