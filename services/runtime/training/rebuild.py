"""Rebuild the committed models from their sources: `make models`, or one family's with `make models ARGS=text`.

Each family's own training module does the work and ends with parity against the original weights.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

FAMILIES = ("text", "vision", "classical")
"""Families with models of their own. Recommenders are fitted on a tenant's history instead: `marquee train`."""


def main() -> None:
    """Run the training modules, one after the other; exits with the status of the first that fails."""
    parser = argparse.ArgumentParser(prog="make models", description=__doc__)
    parser.add_argument(
        "families", nargs="*", metavar="family", help=f"{' or '.join(FAMILIES)}; all when none is named"
    )
    chosen = parser.parse_args().families or FAMILIES
    unknown = [family for family in chosen if family not in FAMILIES]
    if unknown:
        parser.error(f"no family {unknown[0]!r}; there are: {', '.join(FAMILIES)}")
    for family in chosen:
        # A process each: the exporters' libraries are large and nothing of them is shared.
        print(f"== {family}", flush=True)
        status = subprocess.run([sys.executable, "-m", f"services.{family}.training"], check=False).returncode
        if status != 0:
            sys.exit(status)


if __name__ == "__main__":
    main()
