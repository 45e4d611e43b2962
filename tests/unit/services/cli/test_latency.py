from __future__ import annotations

import io

from rich.console import Console

from services.cli.latency import Latency, latency_table, percentile


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(200, 0, -1)]
    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 99) == 7


def test_the_table_has_a_row_for_each_step_and_the_call() -> None:
    latency = Latency(calls=[10.0, 20.0])
    latency.steps["rank", "classical"] = [3.0, 6.0]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(latency_table(latency))
    rows = [line.split() for line in console.export_text().splitlines()]
    assert ["rank", "classical", "3.0", "6.0", "30%"] in rows
    assert ["whole", "call", "10.0", "20.0"] in rows
