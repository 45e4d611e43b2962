"""From a checkpoint to a version in a model repository: whole or not at all.

Everything is written into a hidden folder of the repository, which no service looks into, and moved to its place by one
rename when it is complete.
"""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.runtime.repository.manifest import MANIFEST_FILE, ManifestInvalid, read_manifest
from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.importer import ImportedVersion, Importer, Precision, Wish
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.source import is_imported
from services.runtime.training.imports.steps import Steps, quiet
from services.runtime.training.publish import PublishError, publish_version

LARGEST_NAME = 64
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_BYTES: dict[Precision, float] = {"float32": 4.0, "float16": 2.0, "int8": 1.25}
# Tables that are stored twice (looked up and multiplied with), golden outputs, and a margin.
_ROOM = 1.5
_FIXED_BYTES = 64 << 20


def check_name(repository: Path, name: str, version: str | None) -> str:
    """Return the version that an import will have: the one asked for, else "1".

    Raises:
        ImportRefused: the name or version is none, or is taken.
    """
    if not _NAME.fullmatch(name) or len(name) > LARGEST_NAME:
        raise ImportRefused(
            f"{name[:80]!r} is no name for a model",
            f"A name is words of a-z and 0-9 joined by '-', at most {LARGEST_NAME} characters. Choose one with --name.",
        )
    if version is not None and not _VERSION.fullmatch(version):
        raise ImportRefused(
            f"{version[:80]!r} is no version", "A version has at most 64 characters of a-z, A-Z, 0-9, '.', '_' and '-'."
        )
    there = versions_of(repository, name)
    if version is None and there:
        numbers = [int(one) for one in there if one.isdigit()]
        raise ImportRefused(
            f"the repository has a model {name} already, version {', '.join(there)}",
            f"Choose another --name, or add a version beside it with --version {max(numbers, default=0) + 1}.",
        )
    if version in there or (repository / name / (version or "1")).exists():
        raise ImportRefused(f"the repository has {name}/{version or 1} already", "Choose another --version or --name.")
    return version or "1"


def versions_of(repository: Path, name: str) -> list[str]:
    """Return the versions of a model on disk."""
    return sorted(path.parent.name for path in (repository / name).glob(f"*/{MANIFEST_FILE}"))


def check_removable(repository: Path, name: str, versions: Sequence[str]) -> list[Path]:
    """Return the folders of versions that an import wrote.

    Raises:
        ImportRefused: there is no such version, or it was not imported.
    """
    if not versions or not _NAME.fullmatch(name):
        raise ImportRefused(
            f"the repository has no model {name[:80]!r}", f"It is {repository}; --repository names another."
        )
    folders = []
    for version in versions:
        folder = repository / name / version
        try:
            manifest = read_manifest(folder)
        except ManifestInvalid as error:
            raise ImportRefused(f"the repository has no {name}/{version[:80]}: {error}") from error
        if not is_imported(manifest.source):
            raise ImportRefused(f"{name}/{version} is part of Marquee and was not imported; it stays")
        folders.append(folder)
    return folders


def needed_bytes(checkpoint: Checkpoint, precision: Precision) -> int:
    """Return how much room an import takes on the repository's disk, at most."""
    return int(checkpoint.parameters * _BYTES[precision] * _ROOM) + _FIXED_BYTES


def check_room(repository: Path, needed: int) -> None:
    """Check that the repository's disk has room; it need not exist yet.

    Raises:
        ImportRefused: it has not.
    """
    place = repository.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ImportRefused(
            f"the import needs {needed / 1e9:.1f} GB on the repository's disk, which has {free / 1e9:.1f} GB free",
            "Make room, choose a smaller --precision, or another disk with --repository.",
        )


def import_checkpoint(
    checkpoint: Checkpoint, importer: Importer, wish: Wish, repository: Path, steps: Steps = quiet
) -> tuple[Path, ImportedVersion]:
    """Convert a checkpoint and publish it as `<repository>/<name>/<version>/`; returns that folder and what it holds.

    Raises:
        ImportRefused: it cannot be imported, is too far from the original, or its place or room is taken.
    """
    check_name(repository, wish.name, wish.version)
    importer.check(checkpoint, wish.task)
    check_room(repository, needed_bytes(checkpoint, wish.precision))
    target = repository / wish.name / wish.version
    with _scratch(repository) as scratch:
        folder = scratch / wish.name / wish.version
        folder.mkdir(parents=True)
        version = importer.convert(checkpoint, wish, folder, steps)
        with steps("Publishing", None):
            try:
                publish_version(
                    folder,
                    version.manifest,
                    version.graph,
                    version.files,
                    version.golden_cases,
                    version.card,
                    largest_file_bytes=None,
                )
            except PublishError as error:
                raise ImportRefused(f"the converted graph cannot be published: {error}") from error
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
    return target, version


@contextmanager
def _scratch(repository: Path) -> Iterator[Path]:
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=repository, ignore_cleanup_errors=True) as scratch:
        try:
            yield Path(scratch)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ImportRefused(
                "the disk of the repository is full; nothing was published",
                "Make room, choose a smaller --precision, or another disk with --repository.",
            ) from error
