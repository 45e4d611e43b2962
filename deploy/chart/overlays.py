"""Render the Kustomize overlays of deploy/kustomize from the chart and their values.

Each folder has `values.yaml`, which is written by hand, and `manifest.yaml`, which is written here.
`python -m deploy.chart.overlays` renders, `--check` says which are stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from deploy.chart.tools import REPOSITORY, render

OVERLAYS = REPOSITORY / "deploy" / "kustomize"
_HEADER = "# Rendered from charts/marquee and values.yaml by `make chart-kustomize`; do not edit.\n"


def overlays() -> list[Path]:
    """Return the folders of the overlays."""
    return sorted(path.parent for path in OVERLAYS.glob("*/values.yaml"))


def manifest(folder: Path) -> str:
    """Return what the chart renders for an overlay, without hooks, which only Helm understands.

    Raises:
        RenderFailed: its values do not fit.
    """
    values = yaml.safe_load((folder / "values.yaml").read_text())
    return _HEADER + render(values, options=["--no-hooks"])


def main() -> None:
    """Render, or check with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when an overlay is stale")
    arguments = parser.parse_args()
    for folder in overlays():
        target, fresh = folder / "manifest.yaml", manifest(folder)
        if arguments.check and (not target.exists() or target.read_text() != fresh):
            sys.exit(f"{target.relative_to(REPOSITORY)} is stale: run `make chart-kustomize`")
        target.write_text(fresh)


if __name__ == "__main__":
    main()
