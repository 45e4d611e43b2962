from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from services.runtime.bundles.repository import BundleRepository
from services.runtime.bundles.scorer import History
from services.runtime.errors import FailedPrecondition, NotFound
from tests.support.bundles import ITEM_COUNT, ITEMS, edit_bundle, replace_bundle_file, write_bundle
from tests.support.dummy_model import flip_byte, truncate

Damage = Callable[[Path], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def repository(root: Path, service: str = "classical") -> BundleRepository:
    return BundleRepository(root, service, with_ranker=service == "classical")


async def test_a_service_loads_its_own_part(root: Path) -> None:
    write_bundle(root)
    classical = await repository(root).load("default", "v1")
    text = await repository(root, "text").load("default", "v1")
    assert list(classical.scorers) == ["near", "next"]
    assert list(classical.rankers) == ["linear"]
    assert classical.popularity.shape == (ITEM_COUNT,)
    assert classical.item_ids == list(ITEMS)
    assert classical.rows["item-7"] == 7
    assert list(text.scorers) == ["words"]
    assert text.rankers == {}


async def test_damage_to_another_services_part_is_not_this_services_business(root: Path) -> None:
    flip_byte(write_bundle(root) / "near.onnx")
    assert list((await repository(root, "text").load("default", "v1")).scorers) == ["words"]


async def test_versions_and_tenants_lie_side_by_side_until_unloaded(root: Path) -> None:
    write_bundle(root, "v1", created="2025-01-01T00:00:00Z")
    write_bundle(root, "v2", created="2025-01-02T00:00:00+05:00")
    write_bundle(root, "v1", tenant="acme")
    bundles = repository(root)
    for tenant, version in (("default", "v1"), ("default", "v2"), ("acme", "v1")):
        await bundles.load(tenant, version)
    assert [bundle.manifest.version for bundle in bundles.loaded("default")] == ["v2", "v1"], "newest first"
    assert [bundle.manifest.tenant for bundle in bundles.loaded("acme")] == ["acme"]
    bundles.unload("default", "v1")
    assert bundles.serving("acme", "v1").manifest.tenant == "acme"
    with pytest.raises(FailedPrecondition, match="not loaded here; load it with"):
        bundles.serving("default", "v1")
    with pytest.raises(NotFound):
        bundles.get("default", "v1")
    with pytest.raises(NotFound):
        bundles.unload("default", "v1")


async def test_loading_again_returns_the_loaded_one_even_at_the_same_time(root: Path) -> None:
    write_bundle(root)
    bundles = repository(root)
    loaded = await asyncio.gather(*(bundles.load("default", "v1") for _ in range(4)))
    assert all(bundle is loaded[0] for bundle in loaded)


async def test_a_bundle_in_use_outlives_its_unloading(root: Path) -> None:
    write_bundle(root)
    bundles = repository(root)
    bundle = await bundles.load("default", "v1")
    bundles.unload("default", "v1")
    row = numpy.array([1], numpy.int64)
    attribution = bundle.scorers["near"].attribute(History(row, numpy.ones(1, numpy.float32)), row)
    assert attribution.candidate_scores.tolist() == [1.0]


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a flipped bit in a scorer": (lambda folder: flip_byte(folder / "near.onnx"), "near.onnx is corrupt"),
    "a truncated scorer": (lambda folder: truncate(folder / "next.onnx"), "next.onnx is corrupt"),
    "a missing scorer": (lambda folder: (folder / "near.onnx").unlink(), "file near.onnx is missing"),
    "a flipped bit in the ranker": (lambda folder: flip_byte(folder / "ranker.onnx"), "ranker.onnx is corrupt"),
    "a truncated item list": (lambda folder: truncate(folder / "items.txt"), "items.txt is corrupt"),
    "a flipped bit in the statistics": (
        lambda folder: flip_byte(folder / "statistics.npz"),
        "statistics.npz is corrupt",
    ),
    "an item too few, with its checksum": (
        lambda folder: replace_bundle_file(folder, "items.txt", "\n".join(ITEMS[1:]).encode()),
        "items.txt has 11 items, the manifest says 12",
    ),
    "a scorer that is no graph, with its checksum": (
        lambda folder: replace_bundle_file(folder, "near.onnx", b"garbage"),
        "one of its graphs cannot be opened; the service's log says why",
    ),
    "a missing manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
    "no JSON": (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: document: Invalid JSON"),
    "a file nobody vouches for": (
        lambda folder: edit_bundle(folder, lambda document: document["files"].pop("near.onnx")),
        "states no SHA-256 of near.onnx",
    ),
    "a format of the future": (
        lambda folder: edit_bundle(folder, lambda document: document.update(format=2)),
        "manifest.json: format: Input should be 1",
    ),
    "another tenant's manifest": (
        lambda folder: edit_bundle(folder, lambda document: document.update(tenant="acme")),
        "says acme/v1, the folder default/v1",
    ),
    "a time without a zone": (
        lambda folder: edit_bundle(folder, lambda document: document.update(created="2025-01-01T00:00:00")),
        "created: Input should have timezone info",
    ),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_bundle_is_refused_and_the_loaded_ones_serve_on(root: Path, damage: Damage, said: str) -> None:
    write_bundle(root, "good")
    bundles = repository(root)
    await bundles.load("default", "good")
    damage(write_bundle(root))
    with pytest.raises(FailedPrecondition) as refused:
        await bundles.load("default", "v1")
    assert refused.value.reason == "BUNDLE_REFUSED"
    assert refused.value.metadata == {"tenant": "default", "version": "v1"}
    assert said in refused.value.message
    assert str(root) not in refused.value.message, "callers see the reason; the paths of this machine are not theirs"
    assert [bundle.manifest.version for bundle in bundles.loaded("default")] == ["good"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wrong contributions", "scorer near: contributions miss the scores by"),
        ("ignores exclusions", "scorer near: it returns rows that are excluded or unknown"),
        ("rows beyond", "scorer near: it returns rows that are excluded or unknown"),
        ("needs history", "one of its graphs cannot be opened"),
        ("no contributions", "one of its graphs cannot be opened"),
    ],
)
async def test_a_scorer_that_breaks_its_contract_is_refused(root: Path, fault: str, said: str) -> None:
    write_bundle(root, fault=fault)  # type: ignore[arg-type]
    with pytest.raises(FailedPrecondition) as refused:
        await repository(root).load("default", "v1")
    assert said in refused.value.message


async def test_a_refused_bundle_loads_once_it_is_repaired(root: Path) -> None:
    folder = write_bundle(root)
    good = (folder / "near.onnx").read_bytes()
    flip_byte(folder / "near.onnx")
    bundles = repository(root)
    with pytest.raises(FailedPrecondition):
        await bundles.load("default", "v1")
    (folder / "near.onnx").write_bytes(good)
    assert (await bundles.load("default", "v1")).manifest.version == "v1"


async def test_item_ids_may_hold_any_printable_character(root: Path) -> None:
    strange = ["a b", "Zürich", "🎬", "line\u2028separator", "next\x85line", "form\x0cfeed", "'\"\\", "\u200b"]
    write_bundle(root, items=[*strange, *ITEMS[len(strange) :]])
    bundle = await repository(root).load("default", "v1")
    assert bundle.item_ids[: len(strange)] == strange
