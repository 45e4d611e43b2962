"""Writes the table of docs/metrics.md from the catalogue: `python -m services.runtime.observability.metrics_page`."""

from __future__ import annotations

from pathlib import Path

from services.runtime.observability.metric_catalogue import CATALOGUE

PAGE = Path("docs/metrics.md")
_BEGIN, _END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def table() -> str:
    """Return the table of all metrics in Markdown."""
    rows = ["| metric | kind | labels | what it is | what it tells |", "|---|---|---|---|---|"]
    for family in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in family.labels) or "–"
        rows.append(f"| `{family.name}` | {family.kind.value} | {labels} | {family.help} | {family.question} |")
    return "\n".join(rows) + "\n"


def page_with_table(page: str) -> str:
    """Return the page with the table as it has to be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table()}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
