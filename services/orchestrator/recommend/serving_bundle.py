"""What the orchestrator knows of the bundle that serves: its vocabulary, and who serves which scorer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy
import numpy.typing

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask
from services.orchestrator.mesh import Family

Rows = numpy.typing.NDArray[numpy.int64]
_ABSENT = -1


@dataclass
class ServingBundle:
    """A bundle as the orchestrator sees it.

    Attributes:
        version: version of the bundle.
        item_ids: item id of each bundle row.
        event_watermark: highest event sequence number that the fit saw.
        scorers: names of the scorers each reachable service serves.
        rankers: names of the rankers, the default one first; empty while nobody who ranks was reached.
    """

    version: str
    item_ids: tuple[str, ...]
    event_watermark: int
    scorers: dict[Family, tuple[str, ...]]
    rankers: tuple[str, ...] = ()
    known: frozenset[str] = field(init=False)
    _mapped_sequence: int = field(init=False, default=-1)
    _snapshot_rows: Rows = field(init=False)
    _compared_sequence: int = field(init=False, default=-1)
    _new_rows: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.known = frozenset(self.item_ids)
        self._snapshot_rows = numpy.zeros(0, numpy.int64)

    def new_rows(self, snapshot: CatalogSnapshot) -> list[int]:
        """Return the rows of the snapshot's items that came after the fit, ascending."""
        if self._compared_sequence != snapshot.sequence:
            self._new_rows = sorted(snapshot.rows[item_id] for item_id in snapshot.rows.keys() - self.known)
            self._compared_sequence = snapshot.sequence
        return self._new_rows

    def pack_allowed(self, snapshot: CatalogSnapshot, allowed: Mask) -> bytes:
        """Translate a mask over the snapshot into the bitmap over bundle rows that candidate generation takes.

        Items that left the catalogue are not allowed.
        """
        if self._mapped_sequence != snapshot.sequence or len(self._snapshot_rows) != len(self.item_ids):
            rows = (snapshot.rows.get(item_id, _ABSENT) for item_id in self.item_ids)
            self._snapshot_rows = numpy.fromiter(rows, numpy.int64, count=len(self.item_ids))
            self._mapped_sequence = snapshot.sequence
        if len(snapshot) == 0:
            return bytes((len(self.item_ids) + 7) // 8)
        bits = allowed[self._snapshot_rows] & (self._snapshot_rows != _ABSENT)
        return numpy.packbits(bits, bitorder="little").tobytes()
