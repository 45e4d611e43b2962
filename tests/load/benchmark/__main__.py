"""`make bench`: see the package."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table as TerminalTable

from services.runtime.sources import REPOSITORY_ROOT
from tests.load.benchmark import gpu, overload, soak
from tests.load.benchmark.floors import quick_checks
from tests.load.benchmark.machine import describe
from tests.load.benchmark.models import data_folder
from tests.load.benchmark.peer_systems import MLServer, Peer, Triton
from tests.load.benchmark.plots import draw
from tests.load.benchmark.report import tables, write_json, write_page
from tests.load.benchmark.results import Failure, Journal
from tests.load.benchmark.rounds import Bench, Lengths
from tests.load.benchmark.systems import (
    Echo,
    Marquee,
    MarqueeNative,
    MarqueeNativeWhole,
    MarqueeTraced,
    MarqueeWhole,
    System,
)
from tests.load.benchmark.workloads import workloads

DOCUMENTS = REPOSITORY_ROOT / "docs" / "benchmarks"
WORKLOADS = ("trivial", "forest", "minilm", "minilm-text", "cnn", "cnn-jpeg")
QUICK_WORKLOADS = ("trivial", "minilm", "cnn", "cnn-jpeg")
QUICK_LENGTHS = Lengths(warmup=0.4, measure=1.2, in_process=0.3)
PARTS = ("rounds", "overload", "memory")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.benchmark", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a minute, Marquee against in-process; writes nothing, fails"
    )
    parser.add_argument("--rounds", type=int, help="rounds of every system; 5 unless quick, then 2")
    parser.add_argument("--only", default="", help="comma-separated systems and workloads")
    parser.add_argument("--overload", action="store_true", help="only the part that offers three times the capacity")
    parser.add_argument("--soak", action="store_true", help="only the part that looks at memory after many requests")
    parser.add_argument("--resume", action="store_true", help="go on with the run that was cut off")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks as it is")
    parser.add_argument(
        "--gpu", action="store_true", help="in-process and Marquee on CUDA and TensorRT, where there is a GPU"
    )
    return parser.parse_args()


def main() -> None:
    """Run what was asked for."""
    arguments = _arguments()
    console = Console()
    if arguments.gpu:
        sys.exit(gpu.run(console, arguments.rounds or 5))
    # As on Ctrl-C: every server that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    start = time.monotonic()
    only = {one for one in arguments.only.split(",") if one}
    asked = [name for name, wanted in (("overload", arguments.overload), ("memory", arguments.soak)) if wanted]
    parts = asked or (["rounds"] if arguments.quick or only else list(PARTS))
    quick = arguments.quick
    journal = Journal(None if quick else data_folder() / "run.jsonl", arguments.resume)

    def say(words: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:6.0f} s[/dim]  {words}", highlight=False)

    peers: list[Peer] = [] if quick else [Triton(1), Triton(2), MLServer(0), MLServer(2)]
    ours: list[System] = [Echo(), Marquee()]
    if not quick:
        ours += [MarqueeWhole(), MarqueeTraced(), MarqueeNative(), MarqueeNativeWhole()]
    titles = {one.name: one.title for one in [*ours, *peers]}
    rounds = arguments.rounds or (2 if quick else 5)
    if "rounds" in parts:
        _rounds(journal, ours, peers, only, (quick, rounds), say)
    if "overload" in parts and "overload" not in journal.parts:
        overload.run(list(workloads(overload.WORKLOADS).values()), journal, 6 if quick else 60, say)
    if "memory" in parts and "memory" not in journal.parts:
        first, total = (2_000, 20_000) if quick else (5_000, 500_000)
        soak.run(workloads(soak.WORKLOADS), journal, first, total, say)
    words = {name: one.title for name, one in workloads((*WORKLOADS, *overload.WORKLOADS)).items()}
    found = tables(journal, titles, words, with_floors=not quick)
    for table in found:
        printed = TerminalTable(*table.columns, title=table.title)
        for row in table.rows:
            printed.add_row(*row)
        console.print(printed)
    whole = parts == list(PARTS) and not arguments.no_write
    if whole and not quick:
        DOCUMENTS.mkdir(parents=True, exist_ok=True)
        about = describe(" ".join(["make bench", *sys.argv[1:]]), ["bench-triton", "bench-mlserver"])
        pictures = draw(journal, titles, words, DOCUMENTS)
        write_json(DOCUMENTS, about, journal)
        say(f"written: {write_page(DOCUMENTS, about, found, pictures, rounds)}")
    say("done")
    if quick:
        _judge(journal, console)


def _rounds(
    journal: Journal,
    ours: list[System],
    peers: list[Peer],
    only: set[str],
    size: tuple[bool, int],
    say: Callable[[str], None],
) -> None:
    quick, rounds = size
    names = [one for one in (QUICK_WORKLOADS if quick else WORKLOADS) if not only & set(WORKLOADS) or one in only]
    chosen = workloads(names)
    systems = [one for one in [*ours, *peers] if not only - set(WORKLOADS) or one.name in only]
    usable: list[System] = []
    for system in systems:
        problem = system.problem()
        if problem is None:
            usable.append(system)
        else:
            say(f"[red]{system.title} is left out: {problem}")
            journal.add(Failure(system.name, "all", 0, problem))
    bench = Bench(list(chosen.values()), journal, QUICK_LENGTHS if quick else Lengths(), say)
    bench.tune([one for one in usable if isinstance(one, Peer)])
    bench.run(usable, rounds)


def _judge(journal: Journal, console: Console) -> None:
    broken = [one for one in quick_checks(journal) if not one.holds]
    reasons = [f"{one.system} · {one.workload}: {one.reason}" for one in journal.failures]
    reasons += [one.sentence() for one in broken]
    for reason in reasons:
        console.print(f"[red]{reason}")
    if reasons:
        sys.exit(1)
    for one in quick_checks(journal):
        console.print(f"holds: {one.sentence()}")


if __name__ == "__main__":
    main()
