from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from services.classical.training import bundle as bundle_module
from services.classical.training.bundle import fit_bundle
from services.classical.training.content import ContentVectors
from services.classical.training.dataset import CatalogueTooLarge, Event, Floats, Interactions
from services.classical.training.extra_sources import ExtraSource
from services.classical.training.graphs import scorer_graph
from services.classical.training.histories import Positions
from services.classical.training.offline_recommender import OfflineRecommender, target_ranks
from services.classical.training.options import LARGEST_CATALOGUE, SOURCES, FitOptions, RankerOptions
from services.classical.training.parity import BundleParityError, check_scorer, open_session
from services.classical.training.scorers import DenseScorer
from tests.unit.services.classical.training.conftest import ITEMS, walk_events

CONTENT = {"content_text": ContentVectors("text", np.arange(10), np.eye(10, 6, dtype=np.float32))}
TAGS = [["even"] if row % 2 == 0 else [] for row in range(len(ITEMS))]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def manifest(root: Path, circle: Interactions, options: FitOptions) -> dict[str, Any]:
    """A bundle that knows all but each user's newest event."""
    return fit_bundle(
        circle.without_newest(1),
        root,
        tenant="default",
        version="1",
        content=CONTENT,
        item_tags=TAGS,
        options=options,
    )


@pytest.fixture
def folder(root: Path, manifest: dict[str, Any]) -> Path:
    return root / str(manifest["tenant"]) / str(manifest["version"])


def test_the_manifest_describes_the_folder(folder: Path, manifest: dict[str, Any], circle: Interactions) -> None:
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    on_disk = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == on_disk
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    services = {scorer["name"]: scorer["service"] for scorer in manifest["scorers"]}
    assert services == {
        "ease": "classical",
        "markov": "classical",
        "factors": "classical",
        "ials": "classical",
        "content_text": "text",
        "tags": "classical",
    }
    assert manifest["ranker"]["features"] == [*services, "popularity", "popularity_for_newcomers"]
    assert manifest["item_count"] == 20
    assert manifest["event_count"] == circle.event_count - circle.user_count
    assert manifest["event_watermark"] == circle.without_newest(1).watermark


def test_rows_are_lines_of_the_item_file(folder: Path) -> None:
    assert (folder / "items.txt").read_text(encoding="utf-8").splitlines() == list(ITEMS)
    with np.load(folder / "statistics.npz") as statistics:
        assert statistics["popularity"].shape == (20,)
        assert abs(float(statistics["popularity"].mean())) < 1e-5
        assert statistics["event_counts"].sum() == 660


def test_the_bundle_knows_the_answer(folder: Path, circle: Interactions) -> None:
    newest = Positions(circle.offsets[:-1], circle.offsets[1:] - 1)
    ranks = target_ranks(OfflineRecommender(folder, candidates_per_scorer=5), circle, newest)
    assert (ranks["ranker"] == 0).mean() > 0.95


def test_nobody_gets_popular_items(folder: Path) -> None:
    recommender = OfflineRecommender(folder, candidates_per_scorer=5)
    _, rows, logits = recommender.score(np.zeros(0, np.int64), np.zeros(0, np.float32))
    with np.load(folder / "statistics.npz") as statistics:
        popularity = statistics["popularity"][rows]
    assert (np.diff(popularity[np.argsort(-logits["linear"])]) <= 1e-6).all()


def test_every_ranker_is_there_and_the_default_one_comes_first(folder: Path, manifest: dict[str, Any]) -> None:
    names = [ranker["name"] for ranker in manifest["rankers"]]
    assert sorted(names) == ["forest", "linear", "svm"]
    assert manifest["ranker"] == manifest["rankers"][0]
    assert {"ranker", *names} <= set(manifest["validation"]["figures"])
    assert all((folder / ranker["file"]).is_file() for ranker in manifest["rankers"])


def test_the_card_gives_the_figures(folder: Path, manifest: dict[str, Any]) -> None:
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert manifest["data_sha256"] in card
    for name, figures in manifest["validation"]["figures"].items():
        assert f"| {name} | {figures['hit_rate_10']:.4f} | {figures['ndcg_10']:.4f} |" in card


def test_the_same_seed_gives_the_same_graphs(
    root: Path, manifest: dict[str, Any], circle: Interactions, options: FitOptions
) -> None:
    known = circle.without_newest(1)
    same = fit_bundle(known, root, tenant="a", version="1", content=CONTENT, item_tags=TAGS, options=options)
    other = fit_bundle(known, root, tenant="b", version="1", options=replace(options, seed=2))
    graphs = [name for name in manifest["files"] if name != "card.md"]
    assert {name: same["files"][name] for name in graphs} == {name: manifest["files"][name] for name in graphs}
    assert other["files"]["factors.onnx"] != manifest["files"]["factors.onnx"]
    assert other["files"]["ease.onnx"] == manifest["files"]["ease.onnx"]


def test_a_bundle_never_changes(root: Path, manifest: dict[str, Any], circle: Interactions) -> None:
    with pytest.raises(FileExistsError, match="never changes"):
        fit_bundle(circle, root, tenant=manifest["tenant"], version=manifest["version"])


def test_a_failed_fit_leaves_nothing_behind(
    tmp_path: Path, circle: Interactions, options: FitOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(bundle_module, "write_card", fail)
    with pytest.raises(OSError, match="disk is full"):
        fit_bundle(circle, tmp_path, tenant="default", version="1", options=options)
    assert list((tmp_path / "default").iterdir()) == []


def test_a_graph_that_answers_something_else_is_not_published(circle: Interactions) -> None:
    right = DenseScorer(np.ones((20, 20), np.float32), 0.5, 5)
    wrong = replace(right, decay=0.6)
    check_scorer("walk", scorer_graph(right).SerializeToString(), right, circle)
    with pytest.raises(BundleParityError, match="walk"):
        check_scorer("walk", scorer_graph(wrong).SerializeToString(), right, circle)


def test_progress_rises_to_the_end(tmp_path: Path, circle: Interactions, options: FitOptions) -> None:
    reports: list[tuple[str, float]] = []
    fit_bundle(
        circle,
        tmp_path,
        tenant="default",
        version="1",
        options=options,
        progress=lambda stage, fraction: reports.append((stage, fraction)),
    )
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize("tenant", ["", "..", "a/b", ".hidden", "a" * 65])
def test_an_unsafe_folder_name_is_refused(tmp_path: Path, circle: Interactions, tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        fit_bundle(circle, tmp_path, tenant=tenant, version="1")


def test_a_content_scorer_cannot_take_the_name_of_another(tmp_path: Path, circle: Interactions) -> None:
    with pytest.raises(ValueError, match="ease"):
        fit_bundle(circle, tmp_path, tenant="default", version="1", content={"ease": CONTENT["content_text"]})


def test_a_catalogue_past_the_limit_is_refused(tmp_path: Path, circle: Interactions) -> None:
    huge = replace(circle, item_ids=tuple(str(row) for row in range(LARGEST_CATALOGUE + 1)))
    with pytest.raises(CatalogueTooLarge, match="1,000,000"):
        fit_bundle(huge, tmp_path, tenant="default", version="1")


TINY = {
    "no events": [],
    "one event": [Event("ann", ITEMS[0], 1)],
    "one event a user": [Event(f"user {number}", ITEMS[number], 1) for number in range(5)],
    "ten users": walk_events(10, 3),
    "dislikes only": [event._replace(weight=-1.0) for event in walk_events(10, 3)],
    "the same item again and again": [Event("ann", ITEMS[0], time) for time in range(30)],
    "everything seen": walk_events(3, 20),
}


@pytest.mark.parametrize("events", TINY.values(), ids=TINY.keys())
def test_tiny_data_still_gives_a_bundle_that_answers(tmp_path: Path, events: list[Event]) -> None:
    interactions = Interactions.from_events(events, ITEMS)
    everything = FitOptions(sources=SOURCES, ranker=RankerOptions(families=("svm", "forest", "boosted")))
    manifest = fit_bundle(interactions, tmp_path, tenant="default", version="1", options=everything)
    recommender = OfflineRecommender(tmp_path / "default" / "1")
    raw, rows, logits = recommender.score(np.array([0, 1]), np.ones(2, np.float32))
    assert set(rows.tolist()) == set(range(2, 20))
    assert all(np.isfinite(scores).all() for scores in raw.values())
    assert all(np.isfinite(scores).all() for scores in logits.values())
    assert np.isfinite(manifest["ranker"]["coefficients"]).all()


def test_a_catalogue_of_one_item_gives_a_bundle(tmp_path: Path) -> None:
    interactions = Interactions.from_events([Event("ann", "a", 1)], ["a"])
    fit_bundle(interactions, tmp_path, tenant="default", version="1")
    ranker = open_session(str(tmp_path / "default" / "1" / "ranker-linear.onnx"))
    assert ranker.get_inputs()[0].shape == ["C", 6]


def test_a_source_of_another_family_is_fitted_ranked_and_described(
    tmp_path: Path, circle: Interactions, options: FitOptions
) -> None:
    extra = ExtraSource(
        "steps", "text", "what comes next, from elsewhere", {"size": 3}, lambda events, seed, progress: Neighbour(), 1.0
    )
    manifest = fit_bundle(
        circle, tmp_path, tenant="t", version="1", options=replace(options, sources=("ease",), extra=(extra,))
    )
    assert manifest["scorers"][1] == {
        "name": "steps",
        "service": "text",
        "file": "steps.onnx",
        "sha256": manifest["files"]["steps.onnx"],
        "algorithm": "what comes next, from elsewhere",
        "parameters": {"size": 3},
    }
    assert "steps" in manifest["ranker"]["features"]
    with pytest.raises(ValueError, match="two scorers are called 'ease'"):
        fit_bundle(
            circle, tmp_path, tenant="t", version="2", options=replace(options, extra=(replace(extra, name="ease"),))
        )


class Neighbour:
    """Knows the circle, as a scorer that writes its own graph."""

    matrix = np.roll(np.eye(len(ITEMS), dtype=np.float32), 1, axis=1)
    scorer = DenseScorer(matrix, 0.5, 5)

    def score(self, interactions: Interactions, positions: Positions) -> Floats:
        return self.scorer.score(interactions, positions)

    def graph(self) -> onnx.ModelProto:
        return scorer_graph(self.scorer)
