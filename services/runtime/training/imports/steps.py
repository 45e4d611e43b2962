"""How an import tells how far it is, whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """One piece of work."""

    note: str
    """What to say of it when it is over."""

    def advance(self, count: int = 1) -> None:
        """Count `count` more units as done."""


Steps = Callable[[str, int | None], AbstractContextManager[Step]]
"""Label and number of units, None when nobody knows it → the step, for the length of a block."""


class _Quiet:
    note = ""

    def advance(self, count: int = 1) -> None:
        return


@contextmanager
def quiet(label: str, total: int | None) -> Iterator[Step]:
    """Tell nobody."""
    yield _Quiet()
