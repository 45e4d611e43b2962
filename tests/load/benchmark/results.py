"""What was measured, kept line by line so that a run that was cut off goes on where it stopped."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

IN_PROCESS = "in-process"
"""Processor time of one thread alone; requests a second on all cores, at the better of single rows and batches."""
IN_PROCESS_CROWDED = "in-process, all cores"
"""The same one row a run while every core is busy: processor time of a run grows where cores share caches and units."""


@dataclass(frozen=True)
class Cell:
    """One system on one workload in one round.

    Attributes:
        rate: answered requests a second.
        processor_microseconds: of the server's process tree, a request.
        generator_microseconds: of the load generator, a request.
        generator_share: of all cores of the machine.
        latency: seconds at p50, p90 and p99.
        errors: calls that were not answered, by status code.
        proportional_bytes: most memory of the process tree, shared pages divided among their users.
    """

    system: str
    workload: str
    round: int
    rate: float
    processor_microseconds: float
    generator_microseconds: float = 0.0
    generator_share: float = 0.0
    latency: tuple[float, float, float] = (0.0, 0.0, 0.0)
    errors: dict[str, int] = field(default_factory=dict)
    resident_bytes: int = 0
    proportional_bytes: int = 0


@dataclass(frozen=True)
class Trial:
    """One setting of a peer on one workload, tried before the rounds."""

    system: str
    workload: str
    setting: dict[str, int]
    words: str
    rate: float
    processor_microseconds: float


@dataclass(frozen=True)
class Failure:
    """Something that could not be measured, and why."""

    system: str
    workload: str
    round: int
    reason: str


class Journal:
    """All records of one run, in a file of JSON lines."""

    def __init__(self, path: Path | None, resume: bool = False) -> None:
        self._path = path
        self.cells: list[Cell] = []
        self.trials: list[Trial] = []
        self.failures: list[Failure] = []
        self.parts: dict[str, Any] = {}
        """Results of the parts that are no rounds, by name."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if resume and path.exists():
                self._read(path)
            else:
                path.unlink(missing_ok=True)

    def add(self, record: Cell | Trial | Failure) -> None:
        """Keep one record."""
        self._list_of(record).append(record)
        self._write(type(record).__name__, asdict(record))

    def add_part(self, name: str, value: Any) -> None:
        """Keep the result of a part."""
        self.parts[name] = value
        self._write("part", {"name": name, "value": value})

    def has(self, system: str, round_number: int, workload: str | None = None) -> bool:
        """Tell whether a system was measured, or failed, in a round; on one workload or on any."""
        records: Sequence[Cell | Failure] = [*self.cells, *self.failures]
        return any(
            (one.system, one.round) == (system, round_number) and workload in {None, one.workload} for one in records
        )

    def of(self, system: str, workload: str) -> list[Cell]:
        """Return the rounds of one system on one workload."""
        return [one for one in self.cells if (one.system, one.workload) == (system, workload)]

    def _list_of(self, record: Cell | Trial | Failure) -> list[Any]:
        return {Cell: self.cells, Trial: self.trials, Failure: self.failures}[type(record)]  # type: ignore[return-value]

    def _write(self, kind: str, value: Any) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"kind": kind, **value}) + "\n")

    def _read(self, path: Path) -> None:
        for line in path.read_text().splitlines():
            value = json.loads(line)
            kind = value.pop("kind")
            if kind == "part":
                self.parts[value["name"]] = value["value"]
            elif kind == "Cell":
                p50, p90, p99 = value.pop("latency")
                self.cells.append(Cell(**value, latency=(p50, p90, p99)))
            elif kind == "Trial":
                self.trials.append(Trial(**value))
            else:
                self.failures.append(Failure(**value))


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def words(self, digits: int = 0) -> str:
        """Return `median (low–high)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def paired(journal: Journal, system: str, base: str, workload: str) -> Iterator[tuple[Cell, Cell]]:
    """Yield a system's and its base's measurement of each round that has both: noise of a round hits both alike."""
    bases = {one.round: one for one in journal.of(base, workload)}
    for one in journal.of(system, workload):
        if one.round in bases:
            yield one, bases[one.round]


def overhead(journal: Journal, system: str, workload: str) -> Spread | None:
    """Return processor µs a request above in-process."""
    values = [
        one.processor_microseconds - base.processor_microseconds
        for one, base in paired(journal, system, IN_PROCESS, workload)
    ]
    return Spread.of(values) if values else None


def rate_ratio(journal: Journal, system: str, base: str, workload: str) -> Spread | None:
    """Return requests a second as a share of the base's."""
    values = [one.rate / base_cell.rate for one, base_cell in paired(journal, system, base, workload) if base_cell.rate]
    return Spread.of(values) if values else None
