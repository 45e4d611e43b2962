"""Public logs of what people did when: purchases at CDNOW, film ratings at MovieLens."""

from __future__ import annotations

import csv
import datetime
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from services.classical.behaviour_features import Sessions, sessions
from services.runtime.sources import fetch_package_file

DAY = 86_400.0
WEEK = 7 * DAY

_LIFETIMES = ("lifetimes", "0.11.3")
_CDNOW = ("lifetimes/datasets/CDNOW_master.txt", "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef")
_CDNOW_SUMMARY = (
    "lifetimes/datasets/cdnow_customers_summary.csv",
    "09d92ca80daaabe8be0f997d4c539f9c9606106baa5b199081fe01cbce5fa9f6",
)
_MOVIELENS = (
    "recbole/dataset_example/ml-100k/ml-100k.inter",
    "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
)

Log = Mapping[str, Sessions]
"""User id to what the user did."""


def load_cdnow() -> Log:
    """All purchases of the 23,570 people who first bought music at CDNOW in the first quarter of 1997, until the end of
    June 1998; values are dollars, a session is a day.

    P. Fader, B. Hardie, "Forecasting Repeat Sales at CDNOW: A Case Study", Interfaces 31, 2001.

    Raises:
        SourceUnavailable: The package cannot be fetched.
    """
    path = fetch_package_file(*_LIFETIMES, *_CDNOW)
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in path.read_text(encoding="ascii").splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[1].isdigit():
            day = datetime.datetime.strptime(parts[1], "%Y%m%d").replace(tzinfo=datetime.UTC)
            rows[parts[0]].append((day.timestamp(), float(parts[3])))
    return _log(rows)


def load_cdnow_summary() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Repeat purchases, time of the last one, and length of observation, in weeks, of 2,357 CDNOW customers:
    float64[C, 3].

    The sample that the published parameters of BG/NBD were fitted on.
    """
    path = fetch_package_file(*_LIFETIMES, *_CDNOW_SUMMARY)
    with path.open(encoding="ascii", newline="") as file:
        rows = [(row["frequency"], row["recency"], row["T"]) for row in csv.DictReader(file)]
    return np.array(rows, np.float64)


def load_movielens() -> Log:
    """All ratings of MovieLens-100K by time; values are 1 for each rating."""
    path = fetch_package_file("recbole", "1.2.1", *_MOVIELENS)
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t")
        next(lines)
        for user, _, _, seconds in lines:
            rows[user].append((float(seconds), 1.0))
    return _log(rows)


def _log(rows: Mapping[str, list[tuple[float, float]]]) -> Log:
    return {user: sessions(*np.array(sorted(events), np.float64).T.copy()) for user, events in sorted(rows.items())}
