"""Hold rendered manifests against the schemas of every Kubernetes that the chart promises to run on, strictly.

`python -m deploy.chart.validate FILE …`, in the environment of deploy/locks/chart.txt. Kinds that Kubernetes itself
does not have, such as certificates, are left out. Ends with status 1 and a line for each fault.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate.utils
import yaml

# It reads a version's definitions again for each object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

VERSIONS = ("1.30.0", "1.31.0", "1.32.0", "1.33.0", "1.34.0", "1.35.0", "1.36.0")
FOREIGN = ("cert-manager.io/", "monitoring.coreos.com/")


def faults(paths: Iterable[Path]) -> Iterator[str]:
    """Yield what does not fit, one line for each object and version. Equal objects are looked at once."""
    seen: set[str] = set()
    for path in paths:
        for manifest in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            text = json.dumps(manifest, sort_keys=True)
            if manifest and text not in seen and not manifest["apiVersion"].startswith(FOREIGN):
                seen.add(text)
                yield from _faults_of(manifest, path)


def _faults_of(manifest: dict[str, Any], path: Path) -> Iterator[str]:
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            yield f"{path.name}: {manifest['kind']} {manifest['metadata']['name']} on {version}: {error.message}"


def main() -> None:
    """Check the files of the command line."""
    found = list(faults(Path(name) for name in sys.argv[1:]))
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
