"""Write the reference of the chart's values into its README, from the comments of values.yaml.

`python -m deploy.chart.values_reference` writes, `--check` says whether the README is stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.chart.tools import CHART

START = "<!-- values: written by `make chart-docs` from values.yaml -->"
END = "<!-- end of values -->"


class UncommentedValue(ValueError):
    """A value has no comment above it."""


@dataclass(frozen=True)
class Value:
    """One value, or one group of values.

    Attributes:
        path: its keys, joined by dots.
        comment: what stands above it.
        default: its default as JSON; None for a group.
    """

    path: str
    comment: str
    default: str | None


def read_values(text: str) -> list[Value]:
    """Return every value and group of a values.yaml, in the order of the file.

    A map is one value where its keys have no comments, for example labels or resources; else it is a group.

    Raises:
        UncommentedValue: the comment of a value is missing.
    """
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(document, yaml.MappingNode):
        raise UncommentedValue("the values are not a map")
    return list(_values(document, text.splitlines(), ""))


def _values(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        comment = _comment(lines, key.start_mark.line)
        if not comment:
            raise UncommentedValue(f"{path} has no comment")
        if isinstance(value, yaml.MappingNode) and _is_group(value, lines):
            yield Value(path, comment, None)
            yield from _values(value, lines, f"{path}.")
        else:
            yield Value(path, comment, json.dumps(yaml.safe_load(yaml.serialize(value)), ensure_ascii=False))


def _is_group(node: yaml.MappingNode, lines: list[str]) -> bool:
    return any(_comment(lines, key.start_mark.line) for key, _ in node.value)


def _comment(lines: list[str], line: int) -> str:
    """Return the block of comments directly above a line, without its signs."""
    found: list[str] = []
    indent = len(lines[line]) - len(lines[line].lstrip())
    while line > 0 and lines[line - 1].startswith(" " * indent + "#"):
        line -= 1
        found.insert(0, lines[line].strip().lstrip("#").strip())
    return " ".join(found)


def reference(values: list[Value]) -> str:
    """Return the reference as Markdown: a table for what stands alone, then one for each group at the top."""
    alone = [value for value in values if "." not in value.path and value.default is not None]
    parts = [_table(alone)]
    for group in (value for value in values if "." not in value.path and value.default is None):
        inside = [value for value in values if value.path.startswith(f"{group.path}.")]
        parts += [f"### `{group.path}`", group.comment, _table(inside)]
    return "\n\n".join(parts) + "\n"


def _table(values: list[Value]) -> str:
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in values:
        default = "" if value.default is None else f"`{value.default}`"
        rows.append(f"| `{value.path}` | {_cell(default)} | {_cell(value.comment)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    """Escape what Markdown would take for the end of a cell, or for HTML outside code."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def updated(readme: str, values: str) -> str:
    """Return the README with a fresh reference between its two marks."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{reference(read_values(values))}\n{END}{after}"


def main() -> None:
    """Write, or check with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the README is stale")
    arguments = parser.parse_args()
    readme: Path = CHART / "README.md"
    fresh = updated(readme.read_text(), (CHART / "values.yaml").read_text())
    if arguments.check and fresh != readme.read_text():
        sys.exit("charts/marquee/README.md is stale: run `make chart-docs`")
    if not arguments.check:
        readme.write_text(fresh)


if __name__ == "__main__":
    main()
