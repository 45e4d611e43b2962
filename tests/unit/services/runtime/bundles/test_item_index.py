from __future__ import annotations

from pathlib import Path

import faiss
import numpy
import pytest

from services.runtime.bundles.item_index import ItemIndex

COUNT, CLUSTERS, PROBES = 6_000, 128, 8


@pytest.fixture(scope="module")
def vectors() -> numpy.typing.NDArray[numpy.float32]:
    generator = numpy.random.default_rng(5)
    centres = generator.standard_normal((CLUSTERS, 16))
    spread = 0.8 * generator.standard_normal((COUNT, 16))
    return numpy.asarray(centres[generator.integers(0, CLUSTERS, COUNT)] + spread, numpy.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, vectors: numpy.typing.NDArray[numpy.float32]) -> ItemIndex:
    """Looks into one cluster of sixteen when nothing is filtered."""
    built = faiss.IndexIVFFlat(faiss.IndexFlatIP(16), 16, CLUSTERS, faiss.METRIC_INNER_PRODUCT)
    built.train(vectors)
    built.add(vectors)
    built.nprobe = PROBES
    path: Path = tmp_path_factory.mktemp("index") / "items.index"
    faiss.write_index(built, str(path))
    return ItemIndex(path)


def recall(index: ItemIndex, vectors: numpy.typing.NDArray[numpy.float32], share: float) -> float:
    generator = numpy.random.default_rng(9)
    found_of_best = []
    for _ in range(40):
        wanted = generator.standard_normal(16).astype(numpy.float32)
        allowed = generator.random(COUNT) < share
        best = [row for row in numpy.argsort(-(vectors @ wanted)) if allowed[row]][:50]
        found_of_best.append(len(set(best) & set(index.search(wanted, 50, allowed).tolist())) / 50)
    return float(numpy.mean(found_of_best))


@pytest.mark.parametrize("share", [0.5, 0.3, 0.1])
def test_a_filter_does_not_cost_recall(
    index: ItemIndex, vectors: numpy.typing.NDArray[numpy.float32], share: float
) -> None:
    assert recall(index, vectors, share) >= recall(index, vectors, 1.0) - 0.01


def test_no_row_that_the_filter_forbids(index: ItemIndex) -> None:
    allowed = numpy.zeros(COUNT, numpy.bool_)
    allowed[[4, 90]] = True
    assert sorted(index.search(numpy.ones(16, numpy.float32), 50, allowed).tolist()) == [4, 90]
