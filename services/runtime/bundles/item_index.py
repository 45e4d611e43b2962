"""An index of the items of a large catalogue: what is nearest to a user's vector, within a filter."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy

from services.runtime.bundles.scorer import Floats, Mask, Rows

# A search is one user on one engine thread; several of them run side by side.
faiss.omp_set_num_threads(1)


class ItemIndex:
    """An inverted file of Faiss, read-only.

    Raises:
        RuntimeError: the file is no such index.
    """

    def __init__(self, path: Path) -> None:
        self._index = faiss.read_index(str(path))

    @property
    def item_count(self) -> int:
        """Number of items in it."""
        return int(self._index.ntotal)

    def search(self, vector: Floats, count: int, allowed: Mask) -> Rows:
        """Return about the best `count` allowed rows by inner product, fewer only when fewer are allowed.

        Args:
            vector: float32[D].
            count: at least 1.
            allowed: bool[N].
        """
        bits = numpy.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(bits)
        passing = int(numpy.count_nonzero(allowed))
        wanted = min(count, passing)
        # The best of a tenth of the items lie ten times as deep among all items as the best of all.
        widened = -(-self._index.nprobe * self.item_count // max(1, passing))
        for probes in (min(widened, self._index.nlist), self._index.nlist):
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
            _, found = self._index.search(vector[None], count, params=parameters)
            rows: Rows = found[0][found[0] >= 0].astype(numpy.int64)
            if len(rows) >= wanted:
                break
        return rows
