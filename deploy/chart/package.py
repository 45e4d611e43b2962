"""Package the chart into dist/."""

from __future__ import annotations

import sys

from deploy.chart.tools import CHART, REPOSITORY, RenderFailed, ToolMissing, run_helm


def main() -> None:
    """Package it, and say where it is."""
    try:
        sys.stdout.write(run_helm("package", str(CHART), "--destination", str(REPOSITORY / "dist")))
    except (RenderFailed, ToolMissing) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
