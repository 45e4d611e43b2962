"""What a reader must know before trusting a result: is it the server that was measured, and is anything left out?"""

from __future__ import annotations

import math

from services.cli.load.crew import Result
from services.cli.load.histograms import histogram, percentiles

BUSY_SHARE = 0.85
"""A generator process that uses more of a core than this may be late with its own work."""
_LATE_MILLISECONDS = 5.0
_LATE_SHARE = 0.1
_GROWTH = 3.0
_FEW_CALLS = 1000


def generator_problems(result: Result) -> list[str]:
    """Return why the generator, not the server, may be what limited the run; nothing when it kept up."""
    problems = []
    busiest = max((share.of_a_core for share in result.generators), default=0.0)
    if busiest > BUSY_SHARE:
        problems.append(f"a generator process used {busiest:.0%} of a core")
    if result.load.is_open:
        late = percentiles(result.recording.lag, [99])[99]
        # Answers that a stalled server sends all at once keep any generator busy for a moment.
        allowed = max(_LATE_MILLISECONDS, _LATE_SHARE * percentiles(result.recording.total.latency, [99])[99])
        first, last = _lag_at_both_ends(result)
        if last > max(allowed, _GROWTH * first):
            problems.append(f"calls left later and later: {first:.1f} ms late at first, {last:.1f} ms at the end")
        elif late > allowed:
            problems.append(f"one call in a hundred left more than {late:.1f} ms late")
    return problems


def notes(result: Result) -> list[str]:
    """Return what the figures do not show by themselves."""
    total = result.recording.total
    found = []
    if result.interrupted:
        given_up = f"; {result.abandoned:,} calls in flight were given up and count nowhere" if result.abandoned else ""
        found.append(f"Ctrl-C ended the run after {result.seconds:.1f} s{given_up}.")
    if not result.load.is_open:
        found.append(
            "Closed loop: callers wait for each answer, so while the server stalls nobody asks, and the stall costs a "
            "few calls only. Use --rate to see what independent callers would feel."
        )
    if total.not_sent:
        limit = result.load.max_in_flight
        found.append(
            f"{total.not_sent:,} calls were due while {limit:,} were in flight, and were not sent (--max-in-flight). "
            "They count as failures; the percentiles leave them out, so callers would have fared worse."
        )
    found += _failures_and_percentiles(result)
    if 0 < total.ok < _FEW_CALLS:
        found.append(f"p99.9 of {total.ok:,} calls is little more than the largest value; measure longer for it.")
    return found


def _failures_and_percentiles(result: Result) -> list[str]:
    """Say what p99 would be with failed calls, when leaving them out flatters it."""
    total = result.recording.total
    if not total.failed or not total.ok:
        return []
    everything = histogram()
    everything.add(total.latency)
    for values in total.failed.values():
        everything.add(values)
    good, all_calls = (percentiles(values, [99])[99] for values in (total.latency, everything))
    if all_calls < 1.1 * good:
        return []
    return [
        f"Percentiles are of good calls: p99 {good:,.1f} ms. With the failed calls, which took longer, it is "
        f"{all_calls:,.1f} ms."
    ]


def _lag_at_both_ends(result: Result) -> tuple[float, float]:
    """Return the mean lag of the first and of the last quarter of the run in milliseconds."""
    course = result.recording.course(result.seconds)
    size = max(1, len(course) // 4)
    means = []
    for part in (course[:size], course[-size:]):
        sent = sum(one.offered - one.not_sent for one in part)
        means.append(sum(one.lag for one in part) / sent / 1000 if sent else math.nan)
    return means[0], means[1]
