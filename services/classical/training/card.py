"""The card of a bundle: what it is, how good it is, how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.classical.training.options import FitOptions

_TEMPLATE = """\
# Recommendation bundle {tenant}/{version}

{event_count:,} events of {user_count:,} users on {item_count:,} items, up to event sequence {event_watermark}.
Data SHA-256 `{data_sha256}`. Seed {seed}; the same data, options and seed give the same graphs on one machine.
Fitted in {seconds:.1f} s, created {created}.

## Validation

The newest event of each of {users:,} users, ranked among all items that the user had not seen. The scorers were
fitted without the newest {held_out} events of each user (at most half of them), the ranker without the newest one.
The graphs in this bundle are fitted on everything, so these figures are of its earlier self. The ranker orders the
best {candidates} items of each scorer and by popularity.

| | HR@10 | NDCG@10 | largest difference of the graph |
|---|---|---|---|
{figures}

This is a leave-one-out split: other users' later events are known to the fit, which flatters it a little. Events with
equal times are taken in the order of the log. `python -m services.classical.training.leave_one_out` recomputes
figures on data of one's own, with ties in several random orders.

## Parameters

{parameters}

## Limits

- Scores are sums over the newest events; a history without known items scores zero everywhere, and the ranker then
  orders by popularity.
- An item without events can only be found by its content (text, picture, tags).
- Probabilities are calibrated within candidate lists of about this size; they order items and are no forecast of
  what a page of results earns.
"""


def write_card(
    path: Path, manifest: Mapping[str, Any], options: FitOptions, seconds: float, differences: Mapping[str, float]
) -> None:
    """Writes `card.md`.

    Args:
        path: The file.
        manifest: The manifest, at least up to `validation`.
        options: The options of the fit.
        seconds: Duration of the fit, without the export.
        differences: Scorer name and `ranker` to the largest difference that its parity check found.
    """
    rows = []
    for name, figures in manifest["validation"]["figures"].items():
        difference = f"{differences[name]:.1e}" if name in differences else "no graph"
        rows.append(f"| {name} | {figures['hit_rate_10']:.4f} | {figures['ndcg_10']:.4f} | {difference} |")
    parameters = [
        f"- {part}: " + ", ".join(f"{name} {value}" for name, value in values.items())
        for part, values in asdict(options).items()
        if isinstance(values, dict)
    ]
    known = {key: value for key, value in manifest.items() if key != "validation"}
    text = _TEMPLATE.format(
        **known,
        users=manifest["validation"]["users"],
        seconds=seconds,
        held_out=options.ranker.held_out,
        candidates=options.ranker.candidates_per_scorer,
        figures="\n".join(rows),
        parameters="\n".join(parameters),
    )
    path.write_text(text, encoding="utf-8")
