"""Writes the Grafana dashboards beside this file: `python -m deploy.dashboards`, or with --check only compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy.dashboards.boards import dashboards

FOLDER = Path(__file__).parent


def rendered() -> dict[Path, str]:
    """Return every dashboard's file and what it must contain."""
    return {
        FOLDER / f"{one.name}.json": json.dumps(one.document(), indent=1, ensure_ascii=False) + "\n"
        for one in dashboards()
    }


def stale() -> list[str]:
    """Return the names of the files that differ from what the code says, or belong to no dashboard."""
    wanted = rendered()
    differing = [path.name for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    return sorted([*differing, *(path.name for path in FOLDER.glob("*.json") if path not in wanted)])


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if found := stale():
            sys.exit(f"stale: {', '.join(found)}; run make dashboards")
    else:
        for path, text in rendered().items():
            path.write_text(text, encoding="utf-8")
