"""Copy alerts and dashboards into the chart, which may only read its own folder.

`python -m deploy.chart.copies` copies, `--check` says which copies are stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.chart.tools import CHART, REPOSITORY

SOURCES = {
    REPOSITORY / "deploy" / "alerts": "*.yaml",
    REPOSITORY / "deploy" / "dashboards": "*.json",
}


def stale_copies() -> list[Path]:
    """Return the files of the chart that are missing, differ from their source, or have none."""
    stale: list[Path] = []
    for source, pattern in SOURCES.items():
        copies = CHART / "files" / source.name
        names = {path.name for path in [*source.glob(pattern), *copies.glob(pattern)]}
        stale += [copies / name for name in sorted(names) if _content(source / name) != _content(copies / name)]
    return stale


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def main() -> None:
    """Copy, or check with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a copy is stale")
    arguments = parser.parse_args()
    stale = stale_copies()
    if arguments.check and stale:
        names = ", ".join(str(path.relative_to(REPOSITORY)) for path in stale)
        sys.exit(f"stale: {names}; run `make chart-docs`")
    for copy in stale:
        content = _content(REPOSITORY / "deploy" / copy.parent.name / copy.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            copy.unlink()
        else:
            copy.write_bytes(content)


if __name__ == "__main__":
    main()
