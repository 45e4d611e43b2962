"""Measure the vision models on what no fit has seen: `make quality-vision`. Each part also stands alone."""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS = ("faces", "detection", "vision_transformer", "events")


def main() -> None:
    """Runs the parts one after the other; exits with 1 when one misses a floor."""
    parser = argparse.ArgumentParser(prog="make quality-vision", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all when none is named")
    chosen = parser.parse_args().parts or PARTS
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    missed = []
    for part in chosen:
        print(f"== {part}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.quality.vision.{part}"], check=False).returncode:
            missed.append(part)
    if missed:
        print(f"MISSED: {', '.join(missed)}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
