"""Fits of the protocols, each done once: by the same code on the same data with the same options."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from services.classical.training.bundle import fit_bundle
from services.classical.training.content import ContentVectors
from services.classical.training.dataset import Interactions
from services.classical.training.offline_recommender import OfflineRecommender
from services.classical.training.options import FitOptions

Content = Mapping[str, ContentVectors]
Tags = list[list[str]] | None
_TENANT = "fits"
_LIBRARIES = ("faiss-cpu", "implicit", "numpy", "onnxruntime", "scikit-learn", "scipy")
_FAMILY = Path(__file__).resolve().parents[2]


class Fitted(NamedTuple):
    """A bundle to ask, and its manifest."""

    recommender: OfflineRecommender
    manifest: Mapping[str, Any]


def fit_once(
    root: Path, events: Interactions, content: Content, tags: Tags, options: FitOptions, candidates: int = 100
) -> Fitted:
    """Fits a bundle below `root`, or takes the one that is there already.

    Args:
        root: Folder of fits; one that stays makes the next run short.
        events: What the fit may see.
        content: Item vectors by scorer name.
        tags: Tags of each item, or None.
        options: Of the fit.
        candidates: Best items of each scorer that the ranker orders.
    """
    key = fit_key(events, content, tags, options)
    folder = root / _TENANT / key
    if not (folder / "manifest.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        fit_bundle(events, root, tenant=_TENANT, version=key, content=content, item_tags=tags, options=options)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return Fitted(OfflineRecommender(folder, candidates), manifest)


def fit_key(events: Interactions, content: Content, tags: Tags, options: FitOptions) -> str:
    """Returns 32 hexadecimal digits that change with whatever a fit depends on: data, content, options, code."""
    digest = hashlib.sha256(_code().encode())
    digest.update(events.sha256().encode())
    for name, vectors in sorted(content.items()):
        digest.update(name.encode())
        for array in (vectors.rows, vectors.vectors):
            digest.update(np.ascontiguousarray(array).tobytes())
    extra = [(one.name, one.parameters) for one in options.extra]
    chosen = {name: value for name, value in asdict(options).items() if name != "extra"}
    digest.update(json.dumps([tags, chosen, extra], default=_plain).encode())
    return digest.hexdigest()[:32]


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


@cache
def _code() -> str:
    """A hash of the modules that fit and write graphs, of this family and of the extra sources' one, and of what they
    call.
    """
    services = _FAMILY.parent
    folders = (_FAMILY / "training", services / "runtime" / "training", services / "text" / "training" / "next_item")
    files = [_FAMILY / "features.py", *sorted(file for folder in folders for file in folder.rglob("*.py"))]
    digest = hashlib.sha256(str([(name, version(name)) for name in _LIBRARIES]).encode())
    for file in files:
        if "protocols" not in file.parts:
            digest.update(file.read_bytes())
    return digest.hexdigest()
