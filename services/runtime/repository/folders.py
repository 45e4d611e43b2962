"""What lies in the folder of a model repository: every `<name>/<version>/` that has a manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.logs import get_logger
from services.runtime.repository.manifest import MANIFEST_FILE, ManifestInvalid, read_manifest

# Text for people: correcting it must not load a model again.
_NOT_SERVED = "card.md"
_logger = get_logger(__name__)


class RepositoryUnreadable(OSError):
    """The repository's folder cannot be read now; what serves must serve on."""


@dataclass(frozen=True)
class VersionFolder:
    """One version on disk.

    Attributes:
        path: its folder; a link is fine.
        fingerprint: changes when the manifest's content or another file's size or time of change does.
        task: what the version is for; empty when the manifest cannot be read.
        required: whether readiness waits for the model. A manifest nobody can read must not let a service pass for
            ready, so it counts as required.
        size_bytes: of its files.
    """

    name: str
    version: str
    path: Path
    fingerprint: str
    task: str
    required: bool
    size_bytes: int


Catalogue = Mapping[str, Mapping[str, VersionFolder]]


def read_catalogue(root: Path, known: Catalogue | None = None) -> Catalogue:
    """Return name → version → folder. Folders without a manifest are still being written and are left out.

    Args:
        root: folder of the repository.
        known: an earlier catalogue: manifests that did not change are not read again.

    Raises:
        RepositoryUnreadable: the folder is missing or cannot be listed.
    """
    found: dict[str, dict[str, VersionFolder]] = {}
    try:
        next(root.iterdir(), None)  # glob hides why it finds nothing
        manifests = sorted(root.glob(f"*/*/{MANIFEST_FILE}"))
    except OSError as error:
        raise RepositoryUnreadable(f"the model repository {root.name} cannot be listed: {error.strerror}") from error
    for manifest in manifests:
        path = manifest.parent
        name, version = path.parent.name, path.name
        if name.startswith(".") or version.startswith("."):
            continue
        before = (known or {}).get(name, {}).get(version)
        try:
            found.setdefault(name, {})[version] = _look_at(path, name, version, before)
        except OSError:
            # It went away, or is being swapped, while we looked.
            _logger.debug("version vanished while it was looked at", model=name, version=version)
    return {name: versions for name, versions in found.items() if versions}


def _look_at(path: Path, name: str, version: str, before: VersionFolder | None) -> VersionFolder:
    digest = hashlib.sha256((path / MANIFEST_FILE).read_bytes())
    size = 0
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name != _NOT_SERVED:
            status = file.stat()
            size += status.st_size
            if file.name != MANIFEST_FILE:
                digest.update(f"\n{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    fingerprint = digest.hexdigest()
    if before is not None and before.fingerprint == fingerprint:
        return before
    try:
        manifest = read_manifest(path)
    except ManifestInvalid:
        return VersionFolder(name, version, path, fingerprint, "", True, size)
    return VersionFolder(name, version, path, fingerprint, manifest.task, manifest.required, size)
