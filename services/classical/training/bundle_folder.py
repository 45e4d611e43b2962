"""Publishes a bundle folder all at once: it is complete and on disk before it has its name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def bundle_folder(root: Path, tenant: str, version: str) -> Path:
    """Returns `<root>/<tenant>/<version>`.

    Raises:
        ValueError: The tenant or the version is no safe folder name.
        FileExistsError: The version exists; bundles never change.
    """
    for what, name in (("tenant", tenant), ("version", version)):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{what} {name!r} must be 1 to 64 letters, digits, dots, dashes or underscores")
    folder = root / tenant / version
    if folder.exists():
        raise FileExistsError(f"bundle {version} of tenant {tenant} exists and never changes: choose a new version")
    return folder


@contextlib.contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to write into; afterwards moves it to `folder`, or removes it after an error.

    Files and folders are forced to disk before the move, so that a crash leaves a whole bundle or none.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its destination, because a move is atomic within one file system only; the dot hides it from loaders.
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield draft
        # Services may run as other users than the fit.
        draft.chmod(0o755)
        for path in sorted(draft.iterdir()):
            _force_to_disk(path)
        _force_to_disk(draft)
        draft.rename(folder)
        _force_to_disk(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def hash_files(folder: Path) -> dict[str, str]:
    """Returns file name to SHA-256 of every file in the folder."""
    hashes = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
