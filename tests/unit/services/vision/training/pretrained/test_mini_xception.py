"""The graph and its reference on a network as small as a test wants it, written as Keras 2 wrote files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from services.runtime.training.publish import cpu_session
from services.vision.training.pretrained.mini_xception import build_graph, read_layers
from services.vision.training.pretrained.mini_xception_reference import reference_answers


def layer(kind: str, name: str, *sources: str, **options: Any) -> dict[str, Any]:
    inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **options}, "inbound_nodes": inbound}


def write_keras_file(path: Path) -> None:
    random = np.random.default_rng(0)
    same = {"padding": "same", "use_bias": False}
    layers = [
        layer("InputLayer", "input"),
        layer("Conv2D", "first", "input", strides=[1, 1], padding="valid", use_bias=False),
        layer("BatchNormalization", "norm", "first", epsilon=0.001),
        layer("Activation", "relu", "norm", activation="relu"),
        layer("SeparableConv2D", "apart", "relu", strides=[1, 1], **same),
        layer("MaxPooling2D", "pool", "apart", strides=[2, 2], pool_size=[3, 3], padding="same"),
        layer("Conv2D", "short", "relu", strides=[2, 2], **same),
        layer("Add", "sum", "pool", "short"),
        layer("Conv2D", "last", "sum", strides=[1, 1], padding="same", use_bias=True),
        layer("GlobalAveragePooling2D", "mean", "last"),
        layer("Activation", "predictions", "mean", activation="softmax"),
    ]
    weights = {
        "first": {"kernel": random.normal(size=(3, 3, 1, 4))},
        "norm": {
            "gamma": random.uniform(0.5, 2, 4),
            "beta": random.normal(size=4),
            "moving_mean": random.normal(size=4),
            "moving_variance": random.uniform(0.5, 2, 4),
        },
        "apart": {
            "depthwise_kernel": random.normal(size=(3, 3, 4, 1)),
            "pointwise_kernel": random.normal(size=(1, 1, 4, 6)),
        },
        "short": {"kernel": random.normal(size=(1, 1, 4, 6))},
        "last": {"kernel": random.normal(size=(3, 3, 6, 7)) / 60, "bias": random.normal(size=7) / 4},
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"config": {"layers": layers}})
        for name, values in weights.items():
            for kind, value in values.items():
                file[f"model_weights/{name}/{name}_1/{kind}:0"] = value.astype(np.float32)


def test_the_graph_answers_as_the_reference_does(tmp_path: Path) -> None:
    write_keras_file(tmp_path / "model.hdf5")
    layers = read_layers(tmp_path / "model.hdf5")
    assert [one.name for one in layers][:3] == ["input", "first", "norm"]
    assert layers[7].sources == ("pool", "short")
    # From dark to light: averages over plain noise would all be alike.
    noise = np.random.default_rng(1).uniform(size=(5, 64, 64, 1))
    faces = (noise * np.array([15, 60, 120, 180, 255])[:, None, None, None]).astype(np.uint8)
    expected = reference_answers(layers, faces)
    found = cpu_session(build_graph(layers)).run(["probabilities"], {"faces": faces})[0]
    assert np.abs(found - expected).max() < 1e-5
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-3  # the faces are told apart, so the comparison means something
