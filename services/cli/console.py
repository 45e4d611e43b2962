"""What the commands print with: two consoles, and progress that also makes sense in a log file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

_WIDTH_WITHOUT_TERMINAL = 120
_QUIET_SECONDS = 3.0


def _width(is_terminal: bool) -> int | None:
    return None if is_terminal or "COLUMNS" in os.environ else _WIDTH_WITHOUT_TERMINAL


output = Console(highlight=False, width=_width(sys.stdout.isatty()))
errors = Console(highlight=False, stderr=True, width=_width(sys.stderr.isatty()))


class Stage:
    """One piece of work that takes a while, and how far it is.

    Attributes:
        done: units done so far.
        note: what to say at the end beside the time; may stay empty.
        seconds: time it took, once it is over.
    """

    def __init__(self, label: str, total: int | None, percent: bool = False) -> None:
        self.label = label
        self.total = 100 if percent else total
        self.percent = percent
        self.done = 0
        self.note = ""
        self.seconds = 0.0
        self._start = time.monotonic()
        self._progress: Progress | None = None
        self._said = self._start

    def expect(self, total: int) -> None:
        """Tell how many units there are, where that is known only once the work goes on; start with a total of 0."""
        self.total = total
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], total=total)

    def advance(self, count: int = 1) -> None:
        """Count `count` more units as done."""
        self.done += count
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=self.done)
        elif self.total and time.monotonic() - self._said >= _QUIET_SECONDS:
            self._said = time.monotonic()
            share = f"{self.done} %" if self.percent else f"{self.done:,} of {self.total:,}"
            output.print(f"  {escape(self.label)}: {share}")

    def say(self, what: str) -> None:
        """Tell which part is being worked on."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], description=f"{escape(self.label)}: {escape(what)}")

    @contextmanager
    def shown(self) -> Iterator[Stage]:
        """Show the progress while the block runs, and one line when it is over."""
        if output.is_terminal:
            columns = [SpinnerColumn(), TextColumn("{task.description}")]
            if self.total is not None:
                columns += [BarColumn(bar_width=30), TaskProgressColumn() if self.percent else MofNCompleteColumn()]
            with Progress(*columns, TimeElapsedColumn(), console=output, transient=True) as self._progress:
                self._progress.add_task(escape(self.label), total=self.total)
                yield self
            self._progress = None
        else:
            yield self
        self.seconds = time.monotonic() - self._start
        note = f" [dim]({escape(self.note)})[/]" if self.note else ""
        output.print(f"[green]✓[/] {escape(self.label)} [bold]{self.seconds:.1f} s[/]{note}")


@contextmanager
def stage(label: str, total: int | None = None, *, percent: bool = False) -> Iterator[Stage]:
    """Do one piece of work under a progress display.

    Args:
        label: what is done.
        total: how many units; None when nobody knows.
        percent: the units are percent.

    Example:
        >>> with stage("Writing events", total=3) as work:  # doctest: +SKIP
        ...     work.advance(3)
        ✓ Writing events 0.0 s
    """
    with Stage(label, total, percent).shown() as shown:
        yield shown
