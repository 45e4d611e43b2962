"""Reads a scenario's YAML; whatever is wrong is told with file, line, field and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.load.variables import UNIQUE, Variable

PACKAGED = Path(__file__).parent / "scenarios"
_LARGEST_BYTES = 1 << 20
Location = Sequence[str | int]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Milliseconds = Annotated[float, Field(ge=0, le=3_600_000)]


class StepFile(BaseModel):
    """One kind of call: an RPC of a Marquee service, or a model through Open Inference."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    name: Name
    method: str = Field(default="", description="RPC, for example marquee.text.v1.TextService/EmbedText")
    request: dict[str, Any] = Field(default_factory=dict, description="request of the RPC as JSON, with ${variables}")
    model: str = Field(default="", description="instead of a method: a model for Open Inference, NAME or NAME/VERSION")
    tensors: dict[str, Any] = Field(default_factory=dict, description="inputs of the model; left out, they are random")
    service: str = Field(default="", description="who answers, where the method does not say")
    weight: float = Field(default=1.0, gt=0, le=1_000_000)
    deadline_ms: float = Field(default=5_000, gt=0, le=600_000)
    think_ms: tuple[Milliseconds, Milliseconds] = (0, 0)
    metadata: dict[str, str] = Field(default_factory=dict)
    expect: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @field_validator("think_ms", mode="before")
    @classmethod
    def _one_number_is_both(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("think_ms")
    @classmethod
    def _shortest_first(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the first number must not be above the second")
        return value

    @field_validator("service")
    @classmethod
    def _known_service(cls, value: str) -> str:
        allowed = ("", "orchestrator", "text", "vision", "classical")
        if value not in allowed:
            raise ValueError(f"allowed: {', '.join(allowed[1:])}; addresses belong on the command line")
        return value

    @field_validator("metadata")
    @classmethod
    def _fit_for_grpc(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value:
            if not re.fullmatch(r"[0-9a-z_.-]+", key) or key.startswith("grpc-") or key.endswith("-bin"):
                raise ValueError(f"{key!r}: keys are of a-z 0-9 - _ . and start not with grpc-, end not with -bin")
        return value

    @model_validator(mode="after")
    def _method_or_model(self) -> StepFile:
        if bool(self.method) == bool(self.model):
            raise ValueError("give either method (with request) or model (with tensors)")
        if (self.method and self.tensors) or (self.model and self.request):
            raise ValueError("request belongs to method, tensors belong to model")
        return self


class ScenarioFile(BaseModel):
    """A mix of calls."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: str = ""
    notice: str = Field(default="", description="what people should know before they start it")
    variables: dict[str, Variable] = Field(default_factory=dict)
    steps: list[StepFile] = Field(min_length=1, max_length=50)

    @field_validator("variables")
    @classmethod
    def _good_names(cls, value: dict[str, Variable]) -> dict[str, Variable]:
        for name in value:
            if name == UNIQUE or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"{name!r}: names are of a-z 0-9 _, start with a letter, and are not {UNIQUE!r}")
        return value

    @field_validator("steps")
    @classmethod
    def _names_differ(cls, value: list[StepFile]) -> list[StepFile]:
        names = [step.name for step in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two steps are named {twice[0]!r}")
        return value


class ScenarioError(CommandFailed):
    """A scenario cannot be used."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message, advice, EXIT_WRONG_INPUT)


class Source:
    """A scenario and where its parts are in the file.

    Attributes:
        path: the file.
        file: what it says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = path.read_bytes()
            if len(content) > _LARGEST_BYTES:
                raise ScenarioError(f"{path}: larger than {_LARGEST_BYTES >> 20} MiB; this is no scenario")
            text = content.decode("utf-8")
            self._root = yaml.compose(text, yaml.SafeLoader)
            document = yaml.safe_load(text)
        except UnicodeDecodeError as error:
            raise ScenarioError(f"{path}: not UTF-8 text") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise ScenarioError(f"{path}{line}: not YAML: {getattr(error, 'problem', None) or error}") from error
        if not isinstance(document, dict):
            raise ScenarioError(f"{path}:1: a scenario is a mapping with: {', '.join(ScenarioFile.model_fields)}")
        try:
            self.file = ScenarioFile.model_validate(document)
        except ValidationError as error:
            lines = [self._described(one["type"], one["loc"], one["msg"]) for one in error.errors()]
            raise ScenarioError(lines[0], "\n".join(lines[1:5])) from error

    def error(self, location: Location, message: str) -> ScenarioError:
        """Return an error at a place of the file."""
        field = re.sub(r"\.\[", "[", ".".join(f"[{one}]" if isinstance(one, int) else str(one) for one in location))
        return ScenarioError(f"{self.path}:{self._line(location)}: {field + ': ' if field else ''}{message}")

    def _described(self, kind: str, location: Location, message: str) -> str:
        kept = [one for one in location if self._exists(one, location)]
        message = message.removeprefix("Value error, ").removeprefix("Input ")
        message = message[:1].lower() + message[1:]
        if kind == "extra_forbidden":
            allowed = _allowed(kept[:-1])
            near = difflib.get_close_matches(str(kept[-1]), allowed, 1)
            message = f"unknown{f'; did you mean {near[0]!r}?' if near else ''} Allowed: {', '.join(allowed)}"
        elif kind == "missing":
            message = "is required"
        return str(self.error(kept, message))

    def _exists(self, one: str | int, location: Location) -> bool:
        """Tell whether a part of pydantic's location is ours: it also names the branches of unions."""
        return isinstance(one, int) or ("[" not in one and one not in {"bool", "int", "float", "str"})

    def _line(self, location: Location) -> int:
        """Return the line of a place, or of the nearest thing around it."""
        node: Any = self._root
        line: int = node.start_mark.line if node is not None else 0
        for part in location:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            elif isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
                continue
            else:
                break
            line = node.start_mark.line
        return line + 1


def find_scenario(name: str) -> Path:
    """Return the file of a scenario: a path, or the name of one that comes with Marquee.

    Raises:
        ScenarioError: there is none.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or "/" in name or path.is_file():
        if not path.is_file():
            raise ScenarioError(f"{name}: no such file")
        return path
    packaged = PACKAGED / f"{name}.yaml"
    if not packaged.is_file():
        names = ", ".join(sorted(one.stem for one in PACKAGED.glob("*.yaml")))
        raise ScenarioError(f"no scenario {name!r}; there are: {names}", "A file of your own is named with its path.")
    return packaged


def _allowed(location: Location) -> list[str]:
    if location and location[0] == "steps":
        return list(StepFile.model_fields)
    if location and location[0] == "variables":
        return list(Variable.model_fields)
    return list(ScenarioFile.model_fields)
