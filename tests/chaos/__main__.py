"""Fault drills on real processes under load: `make chaos`, or a short form with `make chaos ARGS=--short`."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from services.cli.movielens import fetch_movielens
from services.cli.signals import stop_signals_as_interrupts
from tests.chaos import report, sandbox
from tests.chaos.drill import Drill
from tests.chaos.drills import all_drills
from tests.chaos.needs import STORES
from tests.chaos.outcome import Outcome
from tests.chaos.prepared import prepare
from tests.chaos.runner import Runner

_LEDGER_EVENTS = 100_000


def main() -> None:
    """Run the chosen drills; exits with status 1 when one was not passed."""
    arguments = _arguments()
    drills = _chosen(arguments)
    if arguments.list:
        for drill in drills:
            _say(f"{drill.name} ({drill.needs.store}): {drill.sentence}")
        return
    fetch_movielens()  # the sandbox has no way to the outside
    sandbox.enter(sys.argv[1:])
    folder = Path(tempfile.mkdtemp(prefix="marquee-chaos-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    with stop_signals_as_interrupts():
        outcomes = asyncio.run(_run(drills, folder))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([one.as_json() for one in outcomes], indent=1), encoding="utf-8")
    if not (arguments.short or arguments.only or arguments.store):
        report.write(outcomes, "make chaos")
        _say(f"written: {report.DOCUMENT.name}, {report.FIGURES.name}")
    failed = sum(bool(one.problems) for one in outcomes)
    skipped = sum(bool(one.skipped) for one in outcomes)
    if failed:
        _say(f"logs of the failed drills are in {folder}")
    else:
        shutil.rmtree(folder)
    _say(f"{len(outcomes) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


async def _run(drills: Sequence[Drill], folder: Path) -> list[Outcome]:
    prepared = await asyncio.to_thread(prepare, folder / "prepared", _say)
    outcomes = []
    async for outcome in Runner(folder, prepared, _say).run(drills):
        _say(report.line(outcome))
        outcomes.append(outcome)
    return outcomes


def _chosen(arguments: argparse.Namespace) -> list[Drill]:
    drills = all_drills(arguments.events)
    if arguments.short:
        drills = [drill for drill in drills if drill.short]
    if arguments.store:
        drills = [drill for drill in drills if drill.needs.store == arguments.store]
    if arguments.only:
        drills = [drill for drill in drills if any(part in drill.name for part in arguments.only)]
    return drills


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="three drills; writes no report")
    parser.add_argument("--store", choices=STORES, help="only drills on this store; writes no report")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only drills whose name contains one of these")
    parser.add_argument("--events", type=int, default=_LEDGER_EVENTS, help="events of the ledger runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--list", action="store_true", help="list the drills and end")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
