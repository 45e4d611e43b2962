"""Weights in a file of their own: verified, told how far, mapped into memory and not read into it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy
import psutil
import pytest
import yaml

from services.runtime.repository.loader import VersionRefused, load_version
from services.runtime.repository.states import State
from services.runtime.training.publish import PublishError, publish_version
from tests.support.dummy_model import edit_manifest, flip_byte, truncate
from tests.support.large_model import DATA_FILE, DIMENSIONS, NAME, ROW_BYTES, write_large_model
from tests.support.repositories import load_on_cpu, repository, states

MEGABYTE = 1 << 20


def test_weights_beside_the_graph_are_listed_and_answer(models: Path) -> None:
    folder = write_large_model(models, 4 * MEGABYTE)
    listed = yaml.safe_load((folder / "model.yaml").read_text())["files"]
    assert list(listed) == ["model.onnx", DATA_FILE, "golden.npz"]
    assert (folder / "model.onnx").stat().st_size < 1_000
    model = load_on_cpu(folder)
    last = 4 * MEGABYTE // ROW_BYTES - 1
    sums = model.onnx.run({"rows": numpy.array([[last, last]])})["sums"]
    assert (sums == 2 * numpy.arange(DIMENSIONS)).all()


@pytest.mark.parametrize("damage", [flip_byte, truncate, Path.unlink])
def test_damaged_weights_refuse_the_version(models: Path, damage: object) -> None:
    folder = write_large_model(models, 4 * MEGABYTE)
    assert callable(damage)
    damage(folder / DATA_FILE)
    with pytest.raises(VersionRefused, match=DATA_FILE):
        load_on_cpu(folder)


def test_weights_that_nobody_vouches_for_refuse_the_version(models: Path) -> None:
    folder = write_large_model(models, 4 * MEGABYTE)
    edit_manifest(folder, lambda document: document["files"].pop(DATA_FILE))
    with pytest.raises(VersionRefused, match=f"states no SHA-256 of {DATA_FILE}"):
        load_on_cpu(folder)


def test_a_load_tells_how_many_bytes_it_has_verified(models: Path) -> None:
    folder = write_large_model(models, 4 * MEGABYTE)
    told: list[int] = []

    def open_nothing(path: Path) -> object:
        raise AssertionError(path)

    with pytest.raises(VersionRefused):
        load_version(folder, open_nothing, verified=told.append)  # type: ignore[arg-type]
    files = [path for path in folder.iterdir() if path.name not in {"model.yaml", "card.md"}]
    assert told == sorted(told)
    assert len(told) >= 4
    assert told[-1] == sum(path.stat().st_size for path in files)


def test_a_file_above_the_limit_is_not_published(models: Path) -> None:
    folder = write_large_model(models, 4 * MEGABYTE)
    manifest = yaml.safe_load((folder / "model.yaml").read_text())
    graph, weights = (folder / "model.onnx").read_bytes(), folder / DATA_FILE
    case = {"rows": numpy.array([[0]], numpy.int64)}
    with pytest.raises(PublishError, match=f"{DATA_FILE} has {4 * MEGABYTE} bytes, more than {MEGABYTE}"):
        publish_version(folder, manifest, graph, {DATA_FILE: weights}, [case], "", largest_file_bytes=MEGABYTE)
    assert weights.exists()


@pytest.mark.slow
async def test_more_than_two_gigabytes_are_mapped_and_the_index_tells_how_far(models: Path) -> None:
    size = (1 << 31) + 64 * MEGABYTE
    write_large_model(models, size)
    told: list[int] = []
    before = psutil.Process().memory_info().rss
    async with repository(models) as made:
        loading = asyncio.create_task(made.load(NAME))
        while not loading.done():
            told += [one.verified_bytes for one in made.index() if one.state is State.LOADING]
            await asyncio.sleep(0.05)
        assert states(made, NAME) == {"1": State.READY}
        start = time.monotonic()
        (serving,) = await loading
        last = size // ROW_BYTES - 1
        sums = serving.model.onnx.run({"rows": numpy.array([[0, last]])})["sums"]
        assert (sums == numpy.arange(DIMENSIONS)).all()
        assert time.monotonic() - start < 1
        assert psutil.Process().memory_info().rss - before < 512 * MEGABYTE
        assert [one.verified_bytes for one in made.index()] == [0]
    assert told == sorted(told)
    assert len({count for count in told if 0 < count < size}) >= 3
