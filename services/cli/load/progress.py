"""Shows how a run goes: one bar in a terminal, a line now and then in a log file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from services.cli.console import output
from services.cli.load import crew

_QUIET_SECONDS = 5.0
_WINDOW_SECONDS = 2.0


@contextmanager
def shown(label: str, warm_up_seconds: float, seconds: float) -> Iterator[crew.Watch]:
    """Show the progress of one run while the block runs; yields what `Crew.run` tells.

    Args:
        label: what runs.
        warm_up_seconds: time that does not count.
        seconds: measured time.
    """
    recent: deque[tuple[float, int, int]] = deque()
    last_line = time.monotonic()

    def now(progress: crew.Progress) -> str:
        recent.append((progress.elapsed, progress.ended, progress.good))
        while recent and recent[0][0] < progress.elapsed - _WINDOW_SECONDS:
            recent.popleft()
        span = max(progress.elapsed - recent[0][0], 0.25)
        good, ended = sum(one[2] for one in recent) / span, sum(one[1] for one in recent) / span
        failing = f", [red]{ended - good:,.0f} failing/s[/]" if ended - good >= 1 else ""
        phase = "warming up" if progress.elapsed < warm_up_seconds else f"{good:,.0f} good/s{failing}"
        waiting = " (waiting for the last answers)" if progress.elapsed > warm_up_seconds + seconds + 0.5 else ""
        return f"{phase}, {progress.in_flight:,} in flight{waiting}"

    if not output.is_terminal:

        def say(progress: crew.Progress) -> None:
            nonlocal last_line
            text = now(progress)
            if time.monotonic() - last_line >= _QUIET_SECONDS:
                last_line = time.monotonic()
                output.print(f"  {escape(label)}: {progress.elapsed:.0f} s, {text}")

        yield say
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    # Few pictures a second: drawing must not take the processor from what is measured.
    with Progress(*columns, TimeRemainingColumn(), console=output, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(escape(label), total=warm_up_seconds + seconds)

        def draw(progress: crew.Progress) -> None:
            bar.update(task, completed=progress.elapsed, description=f"{escape(label)}: {now(progress)}")

        yield draw
