"""Variables of request templates: `${name}` stands for a value that differs from call to call."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.cli.load.plan import UNIQUE_MARK

UNIQUE = "unique"
"""Name of the variable that is always there: text that no other call has."""
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_LARGEST_FILES_BYTES = 32 << 20
Draw = Callable[[Random], Any]
Many = Annotated[int, Field(ge=1, le=100_000)]


class Variable(BaseModel):
    """Where the values of a variable come from: exactly one of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: Many | None = Field(default=None, description="up to so many users who have events in the mesh")
    items: Many | None = Field(default=None, description="up to so many items of the mesh's catalogue")
    numbered: str | None = Field(default=None, description='a name with "{}" for a number, 1 to `count`')
    count: Many = Field(default=1000, description="names of `numbered`")
    choice: list[str | int | float | bool] | None = Field(default=None, min_length=1, description="one of a list")
    lines: str | None = Field(default=None, description="one line of a text file beside the scenario")
    files: str | None = Field(
        default=None, description="one file of a glob pattern beside the scenario, for bytes fields"
    )
    integer: tuple[int, int] | None = Field(default=None, description="a whole number from..to")
    number: tuple[float, float] | None = Field(default=None, description="a number from..to")

    @model_validator(mode="after")
    def _one_source(self) -> Variable:
        sources = [name for name in type(self).model_fields if name != "count"]
        if sum(getattr(self, name) is not None for name in sources) != 1:
            raise ValueError(f"give exactly one of: {', '.join(sources)}")
        if self.numbered is not None and self.numbered.count("{}") != 1:
            raise ValueError('numbered needs "{}" where the number goes')
        for name in ("integer", "number"):
            limits = getattr(self, name)
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{name}: the first limit must not be above the second")
        return self


@dataclass(frozen=True)
class Discovered:
    """What was found in the mesh."""

    users: Sequence[str] = ("a-user",)
    items: Sequence[str] = ("an-item",)


def drawing(variable: Variable, folder: Path, found: Discovered) -> Draw:
    """Return a function that draws values.

    Args:
        variable: where they come from.
        folder: folder of the scenario; its files are looked for there and nowhere else.
        found: users and items of the mesh.

    Raises:
        ValueError: a file is missing, empty, too large or elsewhere.
    """
    if variable.users is not None:
        return _one_of(found.users[: variable.users])
    if variable.items is not None:
        return _one_of(found.items[: variable.items])
    if variable.numbered is not None:
        name, count = variable.numbered, variable.count
        return lambda chance: name.replace("{}", str(chance.randint(1, count)))
    if variable.choice is not None:
        return _one_of(variable.choice)
    if variable.lines is not None:
        (path,) = _files(folder, variable.lines)
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not lines:
            raise ValueError(f"{variable.lines} has no line")
        return _one_of(lines)
    if variable.files is not None:
        contents = [base64.b64encode(path.read_bytes()).decode() for path in _files(folder, variable.files)]
        return _one_of(contents)
    if variable.integer is not None:
        least, most = variable.integer
        return lambda chance: chance.randint(least, most)
    assert variable.number is not None
    low, high = variable.number
    return lambda chance: chance.uniform(low, high)


def references(template: Any) -> set[str]:
    """Return the names of the variables in a template."""
    if isinstance(template, str):
        return set(_REFERENCE.findall(template))
    if isinstance(template, Mapping):
        return set().union(*(references(value) for value in template.values()))
    if isinstance(template, list | tuple):
        return set().union(*(references(value) for value in template))
    return set()


def render(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a template with its variables replaced.

    Alone in a string, a variable keeps its type: `"${count}"` becomes a number.

    Args:
        template: JSON.
        values: a value for each name.
    """
    if isinstance(template, str):
        alone = _REFERENCE.fullmatch(template)
        if alone:
            return values[alone[1]]
        return _REFERENCE.sub(lambda match: str(values[match[1]]), template)
    if isinstance(template, Mapping):
        return {key: render(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [render(value, values) for value in template]
    return template


def draw_values(names: set[str], draws: Mapping[str, Draw], chance: Random) -> dict[str, Any]:
    """Return a value for each name; each name has one value a request."""
    return {name: UNIQUE_MARK.decode() if name == UNIQUE else draws[name](chance) for name in sorted(names)}


def _one_of(values: Sequence[Any]) -> Draw:
    kept = list(values)
    return lambda chance: kept[int(chance.random() * len(kept))]


def _files(folder: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ValueError(f"{pattern!r} must be in the scenario's folder")
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise ValueError(f"no file {pattern!r} in {folder}")
    if sum(path.stat().st_size for path in found) > _LARGEST_FILES_BYTES:
        raise ValueError(f"the files of {pattern!r} are larger than {_LARGEST_FILES_BYTES >> 20} MiB together")
    return found
