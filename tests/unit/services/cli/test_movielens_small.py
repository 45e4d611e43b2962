from __future__ import annotations

import os
import pickle

import numpy
import pytest

from services.cli.movielens_small import fetch_movielens_small, read_table, to_movielens


def test_the_published_table_is_read_whole() -> None:
    data = fetch_movielens_small()
    assert (len(data.items), len(data.events)) == (9_066, 100_004)
    assert len({event.user_id for event in data.events}) == 671
    times = [event.event_time.seconds for event in data.events]
    assert times == sorted(times)
    assert {event.rating for event in data.events} == {step / 2 for step in range(1, 11)}
    films = {item.item_id: item for item in data.items}
    assert (films["31"].title, films["31"].release_year, list(films["31"].tags)) == ("Dangerous Minds", 1995, ["Drama"])
    assert all(item.title for item in data.items)


def test_a_pickle_that_names_anything_else_is_refused() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("echo never",)

    with pytest.raises(pickle.UnpicklingError, match=r"no business with posix\.system"):
        read_table(pickle.dumps(Trap()))
    with pytest.raises(pickle.UnpicklingError, match="no pandas table"):
        read_table(pickle.dumps([1, 2, 3]))


def test_a_film_without_title_year_or_genres_is_still_one() -> None:
    columns = {
        "movieId": numpy.array([7, 7]),
        "title": numpy.array([None, None], object),
        "year": numpy.array([numpy.nan, numpy.nan]),
        "genres": numpy.array(["(no genres listed)"] * 2, object),
        "userId": numpy.array([2, 1]),
        "rating": numpy.array([4.5, 0.5]),
        "timestamp": numpy.array([20, 10]),
    }
    data = to_movielens(columns)
    assert [(item.item_id, item.title, item.release_year, list(item.tags)) for item in data.items] == [
        ("7", "Film 7", 0, [])
    ]
    assert [(event.user_id, event.rating) for event in data.events] == [("1", 0.5), ("2", 4.5)]
