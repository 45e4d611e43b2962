"""The bundles a model service has loaded, and the folder it loads them from."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy

from services.runtime.bundles.indexed_scorer import IndexedScorer
from services.runtime.bundles.item_index import ItemIndex
from services.runtime.bundles.manifest import (
    BundleManifest,
    BundleManifestInvalid,
    ScorerDescription,
    read_bundle_manifest,
)
from services.runtime.bundles.scorer import NO_ROWS, Floats, History, HistoryScorer, Scorer
from services.runtime.engine import CPU, OnnxModel
from services.runtime.errors import FailedPrecondition, NotFound
from services.runtime.logs import get_logger

_logger = get_logger(__name__)
STATISTICS_FILE = "statistics.npz"
_LARGEST_CONTRIBUTION_ERROR = 1e-2


class BundleDamaged(ValueError):
    """A bundle's files are missing or corrupt, or a graph does not keep its contract."""


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle as one service sees it: the scorers that this service serves, and the ranker when it serves that.

    Attributes:
        item_ids: item id of each row.
        rows: row of each item id.
        scorers: scorers this service serves candidates from.
        ranked_scorers: scorers whose scores are features of the ranker, whichever service serves them: the ranker needs
            the scores of every candidate, not only of those that the other service proposed. Empty without a ranker.
        rankers: graph of each ranker by its name, the one that answers by default first; empty on services that do
            not rank.
        popularity: float32[N], standardised popularity of each row; zeros on services that do not rank.
    """

    manifest: BundleManifest
    folder: Path
    item_ids: list[str]
    rows: dict[str, int]
    scorers: dict[str, Scorer]
    ranked_scorers: dict[str, Scorer]
    rankers: dict[str, OnnxModel]
    popularity: Floats


class BundleRepository:
    """Loads, keeps and unloads bundles of one service, several versions side by side.

    Args:
        root: folder `<tenant>/<version>/manifest.json`.
        service: name of this service; only its scorers are loaded.
        with_ranker: whether this service serves rankers.
    """

    def __init__(self, root: Path, service: str, with_ranker: bool = False) -> None:
        self._root = root
        self._service = service
        self._with_ranker = with_ranker
        self._loaded: dict[tuple[str, str], LoadedBundle] = {}
        self._loading = asyncio.Lock()

    async def load(self, tenant: str, version: str) -> LoadedBundle:
        """Load a bundle, or return the loaded one.

        Raises:
            FailedPrecondition: files are missing or corrupt, or a graph does not keep its contract.
        """
        async with self._loading:
            loaded = self._loaded.get((tenant, version))
            if loaded is None:
                loaded = await asyncio.to_thread(self._load, tenant, version)
                self._loaded[tenant, version] = loaded
                _logger.info("bundle ready", tenant=tenant, version=version, scorers=list(loaded.scorers))
        return loaded

    def unload(self, tenant: str, version: str) -> None:
        """Forget a bundle; raises `NotFound` when it is not loaded."""
        if self._loaded.pop((tenant, version), None) is None:
            raise NotFound("version", "bundle", version, f"it is not loaded for tenant {tenant}")

    def loaded(self, tenant: str) -> list[LoadedBundle]:
        """Return the loaded bundles of a tenant, newest first."""
        mine = [bundle for (owner, _), bundle in self._loaded.items() if owner == tenant]
        return sorted(mine, key=lambda bundle: bundle.manifest.created, reverse=True)

    def get(self, tenant: str, version: str) -> LoadedBundle:
        """Return a loaded bundle; raises `NotFound` when it is not loaded."""
        bundle = self._loaded.get((tenant, version))
        if bundle is None:
            raise NotFound("version", "bundle", version, f"it is not loaded for tenant {tenant}")
        return bundle

    def serving(self, tenant: str, version: str) -> LoadedBundle:
        """Return a loaded bundle for work; raises `FailedPrecondition` when it is not loaded."""
        bundle = self._loaded.get((tenant, version))
        if bundle is None:
            raise FailedPrecondition(
                "BUNDLE_NOT_LOADED",
                f"bundle {version} of tenant {tenant} is not loaded here; load it with "
                "ModelRepositoryService.LoadBundle",
                {"tenant": tenant, "version": version},
            )
        return bundle

    def _load(self, tenant: str, version: str) -> LoadedBundle:
        folder = self._root / tenant / version
        try:
            manifest = read_bundle_manifest(folder)
            ranker = manifest.ranker if self._with_ranker else None
            features = ranker.features if ranker else []
            rankers = [ranker, *(one for one in manifest.rankers if one.name != ranker.name)] if ranker else []
            needed = [one for one in manifest.scorers if one.service == self._service or one.name in features]
            wanted = [
                manifest.items,
                *(scorer.file for scorer in needed),
                *(scorer.index for scorer in needed if scorer.index),
                *(one.file for one in rankers),
                *([STATISTICS_FILE] if ranker else []),
            ]
            for name in wanted:
                _verify(folder, name, manifest.files)
            # Not splitlines(): an item id may hold U+2028 and its like.
            item_ids = (folder / manifest.items).read_text(encoding="utf-8").removesuffix("\n").split("\n")
            if len(item_ids) != manifest.item_count:
                raise BundleDamaged(
                    f"{manifest.items} has {len(item_ids)} items, the manifest says {manifest.item_count}"
                )
            # Scorers are small per-user sums: the CPU is faster than a trip to a GPU.
            scorers = {scorer.name: _open_scorer(scorer, folder, len(item_ids)) for scorer in needed}
            bundle = LoadedBundle(
                manifest,
                folder,
                item_ids,
                {item_id: row for row, item_id in enumerate(item_ids)},
                {scorer.name: scorers[scorer.name] for scorer in needed if scorer.service == self._service},
                {name: scorers[name] for name in features if name in scorers},
                {one.name: OnnxModel(folder / one.file, CPU) for one in rankers},
                _read_popularity(folder, len(item_ids)) if ranker else numpy.zeros(len(item_ids), numpy.float32),
            )
            _check_scorers(bundle)
            _check_rankers(bundle)
        except Exception as error:
            # Whatever a broken bundle makes the libraries raise, the bundles loaded before serve on. Their texts may
            # name paths of this machine, so only our own go to the caller.
            own = isinstance(error, BundleDamaged | BundleManifestInvalid)
            _logger.error(
                "bundle refused", tenant=tenant, version=version, exc_info=None if own else error, reason=str(error)
            )
            raise FailedPrecondition(
                "BUNDLE_REFUSED",
                f"bundle {version} of tenant {tenant} cannot be loaded: "
                + (str(error) if own else "one of its graphs cannot be opened; the service's log says why"),
                {"tenant": tenant, "version": version},
            ) from error
        return bundle


def _open_scorer(scorer: ScorerDescription, folder: Path, item_count: int) -> Scorer:
    model = OnnxModel(folder / scorer.file, CPU)
    if not scorer.index:
        return HistoryScorer(scorer.name, model, item_count)
    index = ItemIndex(folder / scorer.index)
    if index.item_count != item_count:
        raise BundleDamaged(f"{scorer.index} has {index.item_count} items, the manifest says {item_count}")
    return IndexedScorer(scorer.name, model, index)


def _verify(folder: Path, name: str, files: dict[str, str]) -> None:
    expected = files.get(name)
    if expected is None:
        raise BundleDamaged(f"the manifest states no SHA-256 of {name}")
    if not (folder / name).is_file():
        raise BundleDamaged(f"file {name} is missing")
    with (folder / name).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != expected:
            raise BundleDamaged(f"file {name} is corrupt: its SHA-256 differs from the manifest's")


def _read_popularity(folder: Path, item_count: int) -> Floats:
    with numpy.load(folder / STATISTICS_FILE, allow_pickle=False) as statistics:
        popularity: Floats = statistics["popularity"].astype(numpy.float32)
    if popularity.shape != (item_count,):
        raise BundleDamaged(f"{STATISTICS_FILE} has popularity of shape {popularity.shape}, expected ({item_count},)")
    return popularity


def _check_scorers(bundle: LoadedBundle) -> None:
    """Run each scorer and hold it to its contract: contributions add up to scores, excluded rows stay out, and a user
    without history is no error. Also the warm-up.
    """
    count = len(bundle.item_ids)
    history = History(numpy.arange(min(count, 5), dtype=numpy.int64), numpy.ones(min(count, 5), numpy.float32))
    for scorer in {**bundle.scorers, **bundle.ranked_scorers}.values():
        attribution = scorer.attribute(history, numpy.arange(min(count, 20), dtype=numpy.int64))
        error = numpy.abs(attribution.contributions.sum(axis=0) - attribution.candidate_scores).max(initial=0.0)
        scale = max(1.0, float(numpy.abs(attribution.candidate_scores).max(initial=0.0)))
        if not error <= _LARGEST_CONTRIBUTION_ERROR * scale:
            raise BundleDamaged(f"scorer {scorer.name}: contributions miss the scores by {error:.2g}")
        rows = scorer.top(history, history.rows, None, 10).rows
        if numpy.isin(rows, history.rows).any() or (rows >= count).any() or (rows < 0).any():
            raise BundleDamaged(f"scorer {scorer.name}: it returns rows that are excluded or unknown")
        scorer.top(History(NO_ROWS, numpy.zeros(0, numpy.float32)), NO_ROWS, None, 10)


def _check_rankers(bundle: LoadedBundle) -> None:
    """Run each ranker once and hold it to its contract: one probability and one row of contributions a candidate."""
    if bundle.manifest.ranker is None:
        return
    width = len(bundle.manifest.ranker.features)
    for name, ranker in bundle.rankers.items():
        outputs = ranker.run({"features": numpy.zeros((2, width), numpy.float32)})
        shapes = {"probability": (2,), "contributions": (2, width)}
        if "weights" in outputs:
            shapes["weights"] = (width,)
        for output, shape in shapes.items():
            if output not in outputs or outputs[output].shape != shape:
                raise BundleDamaged(f"ranker {name}: output {output} is missing or not of shape {shape}")
