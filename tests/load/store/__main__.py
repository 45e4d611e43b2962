"""`make bench-store`: see the package. Real files, a real PostgreSQL, every write on disk before it counts."""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from services.orchestrator.store import Store, open_store
from services.runtime.sources import REPOSITORY_ROOT, DataSettings
from tests.load.benchmark.machine import describe
from tests.load.store.measurements import Measurements, measure
from tests.support.postgres import INSTALL, PostgresServer, programs

DOCUMENT = REPOSITORY_ROOT / "docs" / "benchmarks" / "store.md"
_MEGABYTE = 1_000_000


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[tuple[Store, Path]]:
    store = await open_store(f"sqlite:///{folder / 'store.sqlite'}")
    try:
        yield store, folder
    finally:
        await store.close()


@asynccontextmanager
async def _postgres(folder: Path) -> AsyncIterator[tuple[Store, Path]]:
    server = await asyncio.to_thread(PostgresServer)
    try:
        store = await open_store(server.url())
        try:
            yield store, server.folder
        finally:
            await store.close()
    finally:
        await asyncio.to_thread(server.close)


def _say(console: Console, home: str, words: str) -> None:
    console.print(f"{home}: {words}")


def _disk(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


async def _run(events: int, items: int, console: Console) -> dict[str, Measurements]:
    found: dict[str, Measurements] = {}
    homes = {"SQLite": _sqlite, "PostgreSQL": _postgres}
    if programs() is None:
        console.print(f"[yellow]PostgreSQL is left out: {INSTALL}")
        del homes["PostgreSQL"]
    scratch = DataSettings().data_directory / "benchmark"
    scratch.mkdir(parents=True, exist_ok=True)
    for name, home in homes.items():
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="store-", dir=scratch) as folder:
            async with home(Path(folder)) as (store, data):
                found[name] = await measure(store, events, items, partial(_say, console, name))
                found[name]["disk, MB"] = f"{_disk(data) / _MEGABYTE:,.0f}"
        console.print(f"[dim]{name}: {time.monotonic() - start:.0f} s in all")
    return found


def _rows(found: dict[str, Measurements]) -> list[list[str]]:
    names = list(dict.fromkeys(name for measured in found.values() for name in measured))
    return [[name, *(measured.get(name, "") for measured in found.values())] for name in names]


def main() -> None:
    """Measure, print, and write the page for a run of the full size."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.store", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events stored before reads are measured")
    parser.add_argument("--items", type=int, default=100_000, help="items stored before reads are measured")
    parser.add_argument("--no-write", action="store_true", help=f"leave {DOCUMENT.name} as it is")
    arguments = parser.parse_args()
    console = Console()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = asyncio.run(_run(arguments.events, arguments.items, console))
    table = Table("", *found)
    rows = _rows(found)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if not arguments.no_write:
        DOCUMENT.write_text(_page(arguments, list(found), rows), encoding="utf-8")
        console.print(f"written: {DOCUMENT}")


def _page(arguments: argparse.Namespace, homes: list[str], rows: list[list[str]]) -> str:
    about = describe(f"make bench-store ARGS='--events {arguments.events} --items {arguments.items}'", [])
    facts = [f"| {name} | {value} |" for name, value in about.items()]
    lines = [
        "# The store on SQLite and on PostgreSQL",
        "",
        "Written by `make bench-store`. Do not edit. One process with its event loop, the store and eight writers;",
        "every acknowledged write is on disk. PostgreSQL has its default settings and shares the two processors.",
        "",
        "| | |",
        "|---|---|",
        *facts,
        "",
        f"| | {' | '.join(homes)} |",
        f"|---|{'---:|' * len(homes)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
