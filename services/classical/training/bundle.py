"""Fits a bundle: events in, an immutable folder of scorers, ranker, statistics, card and manifest out."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from services.classical.training.bundle_folder import bundle_folder, hash_files, publishing
from services.classical.training.candidate_lists import build_candidate_lists
from services.classical.training.card import write_card
from services.classical.training.content import ContentVectors, fit_content, tag_vectors
from services.classical.training.dataset import Interactions, check_catalogue
from services.classical.training.first_stage import FirstStage
from services.classical.training.graphs import indexed_scorer_graph, scorer_graph
from services.classical.training.histories import next_item_positions
from services.classical.training.item_index import CHECKED, IndexFacts, write_item_index
from services.classical.training.options import FitOptions
from services.classical.training.parity import check_ranker, check_scorer, sample_histories
from services.classical.training.rankers import Ranker
from services.classical.training.scorers import FactoredScorer
from services.classical.training.tree_ranker import TreeRanker
from services.classical.training.two_stage import Progress, TwoStageFit, fit_two_stages

ALGORITHMS = {
    "ease": "EASE with recency-decayed input",
    "markov": "decayed Markov item-to-item",
    "factors": "matrix factorisation by gradient descent, u = sum of weighted item factors",
    "ials": "matrix factorisation by alternating least squares, folded in by one matrix",
    "item2vec": "item2vec as a decomposition of shifted mutual information",
}
CONTENT_ALGORITHM = "cosine of centred content vectors"
TAGS = "tags"


def fit_bundle(
    interactions: Interactions,
    root: Path,
    *,
    tenant: str,
    version: str,
    content: Mapping[str, ContentVectors] | None = None,
    item_tags: Sequence[Sequence[str]] | None = None,
    options: FitOptions | None = None,
    progress: Progress = lambda stage, fraction: None,
) -> dict[str, Any]:
    """Fits every recommender and writes `<root>/<tenant>/<version>/`.

    Args:
        interactions: All events up to now, with the catalogue.
        root: Folder of all bundles.
        tenant: Owner of the data, 1 to 64 letters, digits, dots, dashes or underscores.
        version: A new name for the bundle, the same alphabet.
        content: Scorer name (for example `content_text`) to item vectors; may be empty or None.
        item_tags: Tags of each item in row order; adds a scorer `tags`. None leaves it out.
        options: Defaults when None.
        progress: Called with the stage and the share of the whole that is done, 0 to 1.

    Returns:
        The manifest, as written to `manifest.json`.

    Raises:
        CatalogueTooLarge: More items than a bundle can hold.
        FileExistsError: The version exists.
        BundleParityError: A graph does not answer what the fitted model answers; nothing was written.
        ValueError: A name or a content vector is not usable.
    """
    options = options or FitOptions()
    folder = bundle_folder(root, tenant, version)
    check_catalogue(interactions.item_ids)
    vectors = _all_content(interactions, content or {}, item_tags)
    if clash := {one.name for one in options.extra} & {*vectors, *ALGORITHMS}:
        raise ValueError(f"two scorers are called {clash.pop()!r}")
    content_scorers = {
        name: fit_content(one, interactions.item_count, options.content) for name, one in vectors.items()
    }
    started = time.perf_counter()
    fitted = fit_two_stages(interactions, content_scorers, options, progress)
    seconds = time.perf_counter() - started
    progress("graphs and their parity", 0.95)
    services = {name: one.service for name, one in vectors.items()}
    services.update((one.name, one.service) for one in options.extra)
    with publishing(folder) as draft:
        (draft / "items.txt").write_text("".join(f"{item}\n" for item in interactions.item_ids), encoding="utf-8")
        np.savez(
            draft / "statistics.npz",
            popularity=fitted.first_stage.popularity,
            event_counts=np.bincount(interactions.items, minlength=interactions.item_count).astype(np.int64),
        )
        differences, indices = _write_scorers(draft, fitted.first_stage, interactions, options)
        differences.update(_write_rankers(draft, fitted, interactions, options))
        manifest: dict[str, Any] = {
            "format": 1,
            "tenant": tenant,
            "version": version,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "event_watermark": interactions.watermark,
            "event_count": interactions.event_count,
            "user_count": interactions.user_count,
            "item_count": interactions.item_count,
            "data_sha256": interactions.sha256(),
            "items": "items.txt",
            "statistics": "statistics.npz",
            "seed": options.seed,
            "validation": {
                "users": fitted.validated_users,
                "figures": {
                    name: {"hit_rate_10": figures.hit_rate, "ndcg_10": figures.ndcg}
                    for name, figures in fitted.validation.items()
                },
            },
        }
        write_card(draft / "card.md", manifest, options, seconds, differences)
        files = hash_files(draft)
        manifest["scorers"] = [
            _describe_scorer(name, services.get(name, "classical"), options, files, indices.get(name))
            for name in fitted.first_stage.scorers
        ]
        manifest["rankers"] = [_describe_ranker(ranker, files) for ranker in fitted.rankers.values()]
        manifest["ranker"] = manifest["rankers"][0]
        manifest["files"] = files
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    progress("done", 1.0)
    return manifest


def _all_content(
    interactions: Interactions, content: Mapping[str, ContentVectors], item_tags: Sequence[Sequence[str]] | None
) -> dict[str, ContentVectors]:
    vectors = dict(content)
    if item_tags is not None:
        if len(item_tags) != interactions.item_count:
            raise ValueError(f"tags of {len(item_tags)} items were given, the catalogue has {interactions.item_count}")
        vectors[TAGS] = tag_vectors(item_tags)
    taken = [name for name in vectors if name in ALGORITHMS or not name.isidentifier()]
    if taken:
        raise ValueError(f"{taken[0]!r} cannot name a content scorer")
    # A scorer without a single vector would only cost time.
    return {name: one for name, one in vectors.items() if len(one.rows)}


def _write_scorers(
    draft: Path, first_stage: FirstStage, interactions: Interactions, options: FitOptions
) -> tuple[dict[str, float], dict[str, IndexFacts]]:
    """Writes each scorer's graph after its parity check, and its index where it needs one.

    Returns:
        Scorer name to the largest difference; scorer name to facts about its index.
    """
    differences, indices = {}, {}
    large = interactions.item_count > options.large.dense_items
    for name, scorer in first_stage.scorers.items():
        if large and isinstance(scorer, FactoredScorer):
            graph = indexed_scorer_graph(scorer).SerializeToString()
            positions = sample_histories(interactions, CHECKED)
            indices[name] = write_item_index(
                draft / f"{name}.index", scorer, interactions, positions, options.large.recall, options.seed
            )
        else:
            graph = scorer_graph(scorer).SerializeToString()
        differences[name] = check_scorer(name, graph, scorer, interactions)
        (draft / f"{name}.onnx").write_bytes(graph)
    return differences, indices


def _write_rankers(
    draft: Path, fitted: TwoStageFit, interactions: Interactions, options: FitOptions
) -> dict[str, float]:
    """Writes each ranker's graph after its parity check on real candidates; returns the largest differences."""
    positions = next_item_positions(interactions)
    sample = positions.take(slice(None, None, max(1, len(positions) // 16)))
    count = options.ranker.candidates_per_scorer
    features = build_candidate_lists(fitted.first_stage, interactions, sample, count).features
    differences = {}
    for name, ranker in fitted.rankers.items():
        graph = ranker.graph().SerializeToString()
        differences[name] = check_ranker(graph, ranker, features)
        (draft / ranker_file(name)).write_bytes(graph)
    return {"ranker": max(differences.values()), **differences}


def ranker_file(name: str) -> str:
    """Returns the file name of a ranker's graph."""
    return f"ranker-{name}.onnx"


def _describe_scorer(
    name: str, service: str, options: FitOptions, files: Mapping[str, str], index: IndexFacts | None
) -> dict[str, Any]:
    extra = {one.name: one for one in options.extra}
    algorithm, parameters = CONTENT_ALGORITHM, asdict(options.content)
    if name in extra:
        algorithm, parameters = extra[name].algorithm, dict(extra[name].parameters)
    elif name in ALGORITHMS:
        algorithm, parameters = ALGORITHMS[name], asdict(getattr(options, name))
    return {
        "name": name,
        "service": service,
        "file": f"{name}.onnx",
        "sha256": files[f"{name}.onnx"],
        "algorithm": algorithm,
        "parameters": parameters,
        **({"index": f"{name}.index", "index_facts": index._asdict()} if index else {}),
    }


def _describe_ranker(ranker: Ranker, files: Mapping[str, str]) -> dict[str, Any]:
    file = ranker_file(ranker.name)
    described = {
        "name": ranker.name,
        "file": file,
        "sha256": files[file],
        "algorithm": ranker.algorithm,
        "features": list(ranker.names),
        "intercept": ranker.intercept,
        "lists": ranker.lists,
    }
    if isinstance(ranker, TreeRanker):
        return {**described, "trees": len(ranker.trees)}
    return {
        **described,
        "coefficients": ranker.coefficients.tolist(),
        "means": ranker.means.tolist(),
        "scales": ranker.scales.tolist(),
    }
