"""Write the bill of materials of an image, CycloneDX 1.6: `bill.py ENVIRONMENT SYSTEM COMPONENT`.

Python's packages are read from the environment by cyclonedx-py, Debian's from dpkg's paragraphs, the interpreter from
itself.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any


def python_packages(environment: Path) -> dict[str, Any]:
    """Return the bill of the environment's packages."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--spec-version", "1.6"]
    command += ["--output-format", "JSON", str(environment / "bin/python")]
    bill: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return bill


def debian_packages(system: Path) -> list[dict[str, Any]]:
    """Return a component for each Debian package that files were taken from."""
    components = []
    for path in sorted((system / "var/lib/dpkg/status.d").iterdir()):
        fields = dict(line.split(": ", 1) for line in path.read_text().splitlines() if ": " in line and line[0] != " ")
        address = f"pkg:deb/debian/{path.name}@{fields['Version']}?arch={fields['Architecture']}&distro=debian-12"
        components.append(
            {"type": "library", "bom-ref": address, "name": path.name, "version": fields["Version"], "purl": address}
        )
    return components


def main(environment: Path, system: Path, component: str) -> None:
    """Write sbom.json into the environment."""
    bill = python_packages(environment)
    bill.setdefault("metadata", {})["component"] = {
        "type": "container", "bom-ref": "image", "name": f"marquee-{component}"
    }  # fmt: skip
    version = platform.python_version()
    interpreter = f"pkg:generic/python@{version}"
    bill["components"] = [
        *bill.get("components", []),
        {"type": "application", "bom-ref": interpreter, "name": "python", "version": version, "purl": interpreter},
        *debian_packages(system),
    ]
    (environment / "sbom.json").write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
