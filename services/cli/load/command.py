"""`marquee load`: put a load on a running mesh and report honestly what its callers would have felt."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from services.cli.console import output
from services.cli.failures import EXIT_FAILED, EXIT_WRONG_INPUT, CommandFailed
from services.cli.load.options import (
    Arrivals,
    Callers,
    Channels,
    Deadline,
    Distinct,
    Duration,
    Factor,
    FailIf,
    ListAll,
    MaxInFlight,
    Metadata,
    Method,
    ModelName,
    Most,
    Objective,
    Processes,
    Ramp,
    Rate,
    Report,
    Request,
    Scenario,
    Seed,
    Shapes,
    StepSeconds,
    Target,
    Tensors,
    WarmUp,
)
from services.cli.signals import stop_signals_as_interrupts

if TYPE_CHECKING:
    from services.cli.load.crew import Result
    from services.cli.load.plan import Step
    from services.cli.load.ramp import Knee
    from services.cli.load.thresholds import Condition

_EXIT_INTERRUPTED = 130
_NEEDED = ("hdrh", "matplotlib", "numpy")
_DEFAULT_RATE = 50.0
_DEFAULT_STEP_SECONDS = 5.0


def load(
    method: Method = None,
    scenario: Scenario = None,
    request: Request = "{}",
    model: ModelName = None,
    tensors: Tensors = "",
    shape: Shapes = None,
    metadata: Metadata = None,
    distinct: Distinct = 1000,
    target: Target = None,
    list_all: ListAll = False,
    rate: Rate = None,
    callers: Callers = None,
    arrivals: Arrivals = "poisson",
    deadline_ms: Deadline = 10_000,
    max_in_flight: MaxInFlight = 1000,
    processes: Processes = 0,
    channels: Channels = 1,
    seed: Seed = 1,
    duration: Duration = 30.0,
    warm_up: WarmUp = 2.0,
    ramp: Ramp = False,
    factor: Factor = 1.25,
    step_seconds: StepSeconds = _DEFAULT_STEP_SECONDS,
    objective_ms: Objective = None,
    most: Most = 20_000.0,
    report: Report = None,
    fail_if: FailIf = None,
) -> None:
    """Load-test a running mesh: an RPC, a model, or a scenario; at a rate, with callers, or up to the knee."""
    _check_installed()
    from services.cli.load.assembly import Asked, assemble, list_everything
    from services.cli.load.crew import Load
    from services.cli.load.running import Pace, run_once, run_ramp
    from services.cli.load.thresholds import parse_conditions

    if list_all:
        list_everything()
        return
    if rate is not None and callers is not None:
        raise CommandFailed("--rate is an open loop, --callers a closed one: give one of them", "", EXIT_WRONG_INPUT)
    if ramp and callers is not None:
        raise CommandFailed("--ramp is an open loop; it starts at --rate", "", EXIT_WRONG_INPUT)
    conditions = parse_conditions(fail_if or [])
    asked = Asked(
        method, scenario, request, model, tensors, shape or [], metadata or [], distinct, target, deadline_ms, seed
    )
    wanted = Load(
        0.0 if callers else rate or _DEFAULT_RATE, callers or 0, arrivals, max_in_flight, duration, warm_up, seed
    )
    pace = Pace(processes, channels, seed, factor, step_seconds, objective_ms, most)
    with stop_signals_as_interrupts():
        title, steps = assemble(asked)
        result, knee = run_ramp(title, steps, wanted, pace) if ramp else (run_once(title, steps, wanted, pace), None)
    if report is not None:
        _write(report, title, steps, result, knee)
    _leave(result, knee, conditions)


def _write(folder: Path, title: str, steps: list[Step], result: Result | None, knee: Knee | None) -> None:
    from services.cli.load.report import write_report

    # Metadata may be a secret, and reports are shown to others.
    told = [
        re.sub(r"^((?:--metadata=)?[0-9a-z_.-]+)=.*", r"\1=…", word) if _is_metadata(place) else word
        for place, word in enumerate(sys.argv)
    ]
    words = shlex.join([Path(told[0]).name, *told[1:]])
    output.print(f"Report: {escape(str(write_report(folder, title, words, steps, result, knee)))}", soft_wrap=True)


def _is_metadata(place: int) -> bool:
    return sys.argv[place].startswith("--metadata=") or sys.argv[place - 1] == "--metadata"


def _leave(result: Result | None, knee: Knee | None, conditions: list[Condition]) -> None:
    """End with the exit code that says how it went."""
    broken = [one for one in conditions if result is None or one.broken(result)]
    for one in broken:
        value = f" (it is {one.value(result):,.2f})" if result is not None else ""
        output.print(f"[bold red]Failed:[/] {escape(one.text)}{value}")
    if (result is not None and result.interrupted) or (knee is not None and knee.interrupted):
        raise typer.Exit(_EXIT_INTERRUPTED)
    nothing_good = result is None or not result.recording.total.ok or (knee is not None and knee.rate is None)
    if broken or nothing_good:
        raise typer.Exit(EXIT_FAILED)


def _check_installed() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandFailed(
            f"`marquee load` needs packages that are not installed: {', '.join(missing)}",
            "Install them with: pip install 'marquee[cli,load]'",
            EXIT_WRONG_INPUT,
        )
