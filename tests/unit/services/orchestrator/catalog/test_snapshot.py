from __future__ import annotations

import time

import numpy as np
import pytest

from services.orchestrator.catalog.snapshot import CatalogSnapshot, build_snapshot
from services.orchestrator.store.records import ItemRecord, ItemStatistics, ItemVector
from tests.unit.services.orchestrator.builders import vector


def record(item_id: str, **fields: object) -> ItemRecord:
    defaults = {
        "title": f"Title {item_id}",
        "description": "",
        "tags": (),
        "maturity_age": 0,
        "release_year": 0,
        "picture_labels": (),
        "update_time": 7,
    }
    return ItemRecord(**({"item_id": item_id} | defaults | fields))  # type: ignore[arg-type]


@pytest.fixture
def snapshot() -> CatalogSnapshot:
    return build_snapshot(
        5,
        [
            record("a", tags=("Drama", "Crime"), maturity_age=16, release_year=1995),
            record("b", tags=("drama",), maturity_age=6),
            record("c", tags=("STRASSE",), maturity_age=0),
            record("d", maturity_age=18),
        ],
        [ItemStatistics("b", 3, 2.0, 99), ItemStatistics("gone", 9, 9.0, 9)],
    )


def allowed(snapshot: CatalogSnapshot, **filters: object) -> list[str]:
    mask = snapshot.mask(**filters)  # type: ignore[arg-type]
    return [item_id for item_id, passes in zip(snapshot.item_ids, mask, strict=True) if passes]


def test_columns_hold_what_the_records_hold(snapshot: CatalogSnapshot) -> None:
    assert len(snapshot) == 4
    assert snapshot.sequence == 5
    assert snapshot.item_ids == ("a", "b", "c", "d")
    assert snapshot.rows == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert snapshot.titles[0] == "Title a"
    assert snapshot.tags[0] == ("Drama", "Crime")
    assert snapshot.maturity_ages.tolist() == [16, 6, 0, 18]
    assert snapshot.release_years.tolist() == [1995, 0, 0, 0]
    assert snapshot.update_times.tolist() == [7, 7, 7, 7]


def test_without_filters_everything_passes(snapshot: CatalogSnapshot) -> None:
    assert allowed(snapshot) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"required_tags": ["DRAMA"]}, ["a", "b"]),
        ({"required_tags": ["crime", "straße"]}, ["a", "c"]),
        ({"required_tags": ["unknown"]}, []),
        ({"excluded_tags": ["Drama"]}, ["c", "d"]),
        ({"excluded_tags": ["unknown"]}, ["a", "b", "c", "d"]),
        ({"required_tags": ["drama"], "excluded_tags": ["CRIME"]}, ["b"]),
        ({"maximum_maturity_age": 16}, ["a", "b", "c"]),
        ({"maximum_maturity_age": 0}, ["c"]),
        ({"required_tags": ["drama"], "maximum_maturity_age": 15}, ["b"]),
    ],
)
def test_filters(snapshot: CatalogSnapshot, filters: dict[str, object], expected: list[str]) -> None:
    assert allowed(snapshot, **filters) == expected


def test_statistics_become_popularity(snapshot: CatalogSnapshot) -> None:
    assert snapshot.event_counts.tolist() == [0, 3, 0, 0]
    assert snapshot.last_event_times.tolist() == [0, 99, 0, 0]
    assert snapshot.popularity.tolist() == pytest.approx([0, np.log1p(2.0), 0, 0])
    assert snapshot.popularity.dtype == np.float32
    newer = snapshot.with_statistics([ItemStatistics("a", 1, 1.0, 5)])
    assert newer.event_counts.tolist() == [1, 0, 0, 0]
    assert newer.titles is snapshot.titles
    assert snapshot.event_counts.tolist() == [0, 3, 0, 0]


def test_vectors_become_one_matrix() -> None:
    built = build_snapshot(
        1, [record("a", text_vector=vector(1, 2)), record("b"), record("c", picture_vector=vector(3, 4, 5))], []
    )
    assert built.text.values.tolist() == [[1, 2], [0, 0], [0, 0]]
    assert built.text.present.tolist() == [True, False, False]
    assert (built.text.model, built.text.version) == ("sentences", "1")
    assert built.pictures.values.tolist() == [[0, 0, 0], [0, 0, 0], [3, 4, 5]]
    assert built.pictures.present.tolist() == [False, False, True]


def test_vectors_of_two_models_are_never_mixed() -> None:
    kinds = [vector(1), vector(2, version="2"), vector(3, version="2"), vector(4, 5, version="2")]
    built = build_snapshot(1, [record(str(n), text_vector=kind) for n, kind in enumerate(kinds)], [])
    assert built.text.present.tolist() == [False, True, True, False]
    assert built.text.version == "2"


def test_an_empty_catalogue() -> None:
    built = build_snapshot(0, [], [ItemStatistics("gone", 1, 1.0, 1)])
    assert len(built) == 0
    assert built.mask(["x"], ["y"], 3).shape == (0,)
    assert built.text.values.shape == (0, 0)


def test_nobody_can_write_into_it(snapshot: CatalogSnapshot) -> None:
    for array in (snapshot.popularity, snapshot.maturity_ages, snapshot.text.values, snapshot.rows_with_tag("drama")):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def test_a_film_catalogue_is_built_in_no_time() -> None:
    values = np.zeros(384, dtype="<f4").tobytes()
    records = [
        record(f"{n:05}", tags=("a", f"t{n % 19}"), text_vector=ItemVector(values, "m", "1")) for n in range(1_682)
    ]
    durations = []
    for _ in range(5):
        start = time.process_time()
        build_snapshot(1, records, [])
        durations.append(time.process_time() - start)
    assert min(durations) < 0.05
