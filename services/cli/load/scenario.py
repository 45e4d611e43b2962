"""Turns a scenario into calls that are ready to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from services.cli.load.addresses import address_of
from services.cli.load.contracts import ContractError, Contracts, Method
from services.cli.load.open_inference import INFER, Model
from services.cli.load.plan import UNIQUE_MARK, Step
from services.cli.load.scenario_file import Source, StepFile
from services.cli.load.variables import UNIQUE, Discovered, Draw, draw_values, drawing, references, render


class Scenario:
    """A checked scenario.

    Args:
        source: the file.

    Raises:
        ScenarioError: a method, a field or a variable does not exist, or a value does not fit.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.file = source.file
        self._contracts = Contracts.load()
        self._draws = self._make_draws(Discovered())
        for place, step in enumerate(self.file.steps):
            self._check(place, step)

    @property
    def users(self) -> int:
        """Users to look for in the mesh; 0 for none."""
        return max((one.users or 0 for one in self.file.variables.values()), default=0)

    @property
    def items(self) -> int:
        """Items to look for in the mesh; 0 for none."""
        return max((one.items or 0 for one in self.file.variables.values()), default=0)

    def steps(
        self, known: dict[str, str], found: Discovered, distinct: int, metadata: Mapping[str, str], seed: int
    ) -> list[Step]:
        """Return the steps with their requests.

        Args:
            known: address of each service.
            found: users and items of the mesh.
            distinct: requests to make for each step, where they differ.
            metadata: to send with each call, besides the step's own.
            seed: of the values.
        """
        self._draws = self._make_draws(found)
        chance = Random(seed)  # noqa: S311 (load, not secrets)
        return [
            self._step(place, step, known, distinct, metadata, chance) for place, step in enumerate(self.file.steps)
        ]

    def _step(
        self,
        place: int,
        step: StepFile,
        known: dict[str, str],
        distinct: int,
        metadata: Mapping[str, str],
        chance: Random,
    ) -> Step:
        method = self._contracts.method(step.method or INFER)
        address = address_of(self._service(place, step, method), known) if step.method or step.service else ""
        if step.model:
            asked = [address] if address else [known[name] for name in ("text", "vision", "classical") if known[name]]
            bodies, address = self._tensors(place, step, Model.find(step.model, asked), distinct)
        else:
            bodies = self._bodies(place, step, method, distinct, chance)
        return Step(
            name=step.name,
            method=method.path,
            address=address,
            bodies=bodies,
            unique=UNIQUE in references(step.request),
            weight=step.weight,
            deadline_seconds=step.deadline_ms / 1000,
            metadata=tuple({**metadata, **step.metadata}.items()),
            think_seconds=(step.think_ms[0] / 1000, step.think_ms[1] / 1000),
            streaming=method.streaming,
            response_type=method.response_type,
            expect=tuple(step.expect.items()),
        )

    def _bodies(self, place: int, step: StepFile, method: Method, distinct: int, chance: Random) -> tuple[bytes, ...]:
        names = references(step.request)
        count = distinct if names - {UNIQUE} else 1
        bodies = []
        for _ in range(count):
            try:
                request = render(step.request, draw_values(names, self._draws, chance))
                bodies.append(self._contracts.serialise(method, request))
            except ContractError as error:
                raise self.source.error(("steps", place, "request"), str(error)) from error
        if UNIQUE in names and not all(UNIQUE_MARK in body for body in bodies):
            raise self.source.error(("steps", place, "request"), f"${{{UNIQUE}}} must be in a text field")
        return tuple(dict.fromkeys(bodies))

    def _tensors(self, place: int, step: StepFile, model: Model, distinct: int) -> tuple[tuple[bytes, ...], str]:
        try:
            if step.tensors:
                return (model.request(step.tensors),), model.address
        except ValueError as error:
            raise self.source.error(("steps", place, "tensors"), str(error)) from error
        return tuple(model.random_request(seed) for seed in range(min(distinct, 100))), model.address

    def _check(self, place: int, step: StepFile) -> None:
        unknown = sorted(references(step.request) - set(self._draws) - {UNIQUE})
        if unknown:
            there = ", ".join([*self._draws, UNIQUE])
            raise self.source.error(("steps", place, "request"), f"no variable {unknown[0]!r}; there are: {there}")
        try:
            method = self._contracts.method(step.method or INFER)
        except ContractError as error:
            raise self.source.error(("steps", place, "method"), str(error)) from error
        for path, value in step.expect.items():
            self._check_expectation(place, method, path, value)
        if step.method:
            self._service(place, step, method)
            self._bodies(place, step, method, 1, Random(0))  # noqa: S311

    def _check_expectation(self, place: int, method: Method, path: str, value: Any) -> None:
        try:
            field = self._contracts.check_path(method, path)
        except ContractError as error:
            raise self.source.error(("steps", place, "expect", path), str(error)) from error
        fits = {
            field.CPPTYPE_BOOL: isinstance(value, bool),
            field.CPPTYPE_STRING: isinstance(value, str),
        }.get(field.cpp_type, isinstance(value, int | float) and not isinstance(value, bool))
        if not fits:
            raise self.source.error(("steps", place, "expect", path), f"{value!r} is not of the field's type")

    def _service(self, place: int, step: StepFile, method: Method) -> str:
        if not (step.service or method.service):
            message = "every model service answers this; say `service: text` or another"
            raise self.source.error(("steps", place, "method"), message)
        return step.service or method.service

    def _make_draws(self, found: Discovered) -> dict[str, Draw]:
        draws = {}
        for name, variable in self.file.variables.items():
            try:
                draws[name] = drawing(variable, self.source.path.parent, found)
            except (ValueError, OSError) as error:
                raise self.source.error(("variables", name), str(error)) from error
        return draws
