"""From the command's options to calls that are ready to be sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.markup import escape

from services.cli.console import output, stage
from services.cli.failures import EXIT_NO_MESH, EXIT_WRONG_INPUT, CommandFailed
from services.cli.health import listens
from services.cli.load.addresses import address_of, addresses
from services.cli.load.contracts import ContractError, Contracts
from services.cli.load.discovery import discover
from services.cli.load.open_inference import INFER, Model
from services.cli.load.plan import UNIQUE_MARK, Step
from services.cli.load.scenario import Scenario
from services.cli.load.scenario_file import PACKAGED, Source, find_scenario
from services.cli.load.variables import UNIQUE, Discovered, references, render
from services.cli.tables import plain_table, titled

_MOST_RANDOM_TENSORS = 100
_LISTEN_SECONDS = 2.0


@dataclass(frozen=True)
class Asked:
    """The options of what to send; see the command's help."""

    method: str | None
    scenario: str | None
    request: str
    model: str | None
    tensors: str
    shapes: list[str]
    metadata: list[str]
    distinct: int
    target: str | None
    deadline_ms: int
    seed: int


def assemble(asked: Asked) -> tuple[str, list[Step]]:
    """Return a title and the steps.

    Raises:
        CommandFailed: options do not fit together, or nobody answers at an address.
    """
    if asked.method and ((PACKAGED / f"{asked.method}.yaml").is_file() or asked.method.endswith((".yaml", ".yml"))):
        asked = replace(asked, method=None, scenario=asked.scenario or asked.method)  # what people type first
    given = [one for one in (asked.method, asked.scenario, asked.model) if one]
    if len(given) != 1:
        problem = "say what to send" if not given else "give one of METHOD, --scenario and --model"
        advice = "For example: marquee load --scenario browse --rate 50; `marquee load --list` shows what there is."
        raise CommandFailed(problem, advice, EXIT_WRONG_INPUT)
    if asked.scenario:
        title, steps = _from_scenario(asked)
    elif asked.model:
        title, steps = asked.model, [_from_model(asked)]
    else:
        step = _from_method(asked)
        title, steps = step.name, [step]
    for address in dict.fromkeys(step.address for step in steps):
        if not listens(address, _LISTEN_SECONDS):
            advice = "`marquee up` starts a mesh; another address is named with --target."
            raise CommandFailed(f"nobody answers at {address}", advice, EXIT_NO_MESH)
    return title, steps


def list_everything() -> None:
    """Print the scenarios that come with Marquee, and the RPCs."""
    table = plain_table()
    for column in ("scenario", "what it does"):
        table.add_column(column, overflow="fold")
    for path in sorted(PACKAGED.glob("*.yaml")):
        file = Source(path).file
        table.add_row(file.name, f"{escape(file.description)} {escape(file.notice and f'It {file.notice}.')}".strip())
    output.print(titled("Scenarios", table))
    rpcs = plain_table()
    for column in ("RPC", "service"):
        rpcs.add_column(column, overflow="fold")
    contracts = Contracts.load()
    for name in contracts.names:
        rpcs.add_row(name, contracts.method(name).service or "any model service")
    output.print(titled("RPCs", rpcs))


def _from_scenario(asked: Asked) -> tuple[str, list[Step]]:
    assert asked.scenario is not None
    scenario = Scenario(Source(find_scenario(asked.scenario)))
    known = addresses(asked.target)
    found = Discovered()
    if scenario.users or scenario.items:
        with stage("Look for users and items in the mesh") as work:
            found, notes = discover(address_of("orchestrator", known), scenario.users, scenario.items)
            work.note = "; ".join(notes)
    steps = scenario.steps(known, found, asked.distinct, _metadata(asked.metadata), asked.seed)
    if scenario.file.notice:
        output.print(f"[yellow]This scenario {escape(scenario.file.notice)}.[/]")
    return scenario.file.name, steps


def _from_method(asked: Asked) -> Step:
    assert asked.method is not None
    contracts = Contracts.load()
    template = _json("--request", asked.request)
    try:
        method = contracts.method(asked.method)
        unknown = references(template) - {UNIQUE}
        if unknown:
            raise ContractError(
                f"no variable {sorted(unknown)[0]!r} here; ${{unique}} there is, others need a scenario"
            )
        body = contracts.serialise(method, render(template, {UNIQUE: UNIQUE_MARK.decode()}))
    except ContractError as error:
        raise CommandFailed(str(error), exit_code=EXIT_WRONG_INPUT) from error
    if not asked.target and not method.service:
        raise CommandFailed(f"every model service answers {method.name}", "Name one with --target.", EXIT_WRONG_INPUT)
    return Step(
        name=method.name.rpartition("/")[2],
        method=method.path,
        address=asked.target or address_of(method.service, addresses(None)),
        bodies=(body,),
        unique=UNIQUE_MARK in body,
        deadline_seconds=asked.deadline_ms / 1000,
        metadata=tuple(_metadata(asked.metadata).items()),
        streaming=method.streaming,
    )


def _from_model(asked: Asked) -> Step:
    assert asked.model is not None
    known = addresses(None)
    places = [asked.target] if asked.target else [known[name] for name in ("text", "vision", "classical")]
    model = Model.find(asked.model, [one for one in places if one])
    try:
        if asked.tensors:
            bodies: tuple[bytes, ...] = (model.request(_json("--tensors", asked.tensors)),)
        else:
            shapes = _shapes(asked.shapes, [tensor.name for tensor in model.metadata.inputs])
            count = min(asked.distinct, _MOST_RANDOM_TENSORS)
            bodies = tuple(model.random_request(asked.seed + number, shapes) for number in range(count))
    except ValueError as error:
        raise CommandFailed(str(error), exit_code=EXIT_WRONG_INPUT) from error
    return Step(
        name=asked.model,
        method=f"/{INFER}",
        address=model.address,
        bodies=bodies,
        deadline_seconds=asked.deadline_ms / 1000,
        metadata=tuple(_metadata(asked.metadata).items()),
    )


def _json(option: str, text: str) -> dict[str, Any]:
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise CommandFailed(f"{option} is not JSON: {error}", exit_code=EXIT_WRONG_INPUT) from error
    if not isinstance(value, dict):
        raise CommandFailed(f"{option} must be a JSON object", 'For example: \'{"texts": ["a"]}\'', EXIT_WRONG_INPUT)
    return value


def _metadata(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[0-9a-z_.-]+", key) or key.startswith("grpc-") or key.endswith("-bin"):
            advice = "Keys are of a-z 0-9 - _ . and start not with grpc-, end not with -bin: x-marquee-tenant=default"
            raise CommandFailed(f"--metadata {pair!r} is not KEY=VALUE", advice, EXIT_WRONG_INPUT)
        found[key] = value
    return found


def _shapes(pairs: list[str], names: list[str]) -> dict[str, list[int]]:
    found = {}
    for pair in pairs:
        match = re.fullmatch(r"([^=]+)=(\d+(?:,\d+)*)", pair)
        if not match or match[1] not in names:
            raise ValueError(f"--shape {pair!r}: INPUT=1,16 with an input of: {', '.join(names)}")
        found[match[1]] = [int(size) for size in match[2].split(",")]
    return found
