"""Remembers how far an import got, so that the next one goes on there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

_FINGERPRINT_BYTES = 1 << 20


class ImportProgress:
    """The rows of a file that are dealt with, kept in `FILE.progress` until the import is over.

    Args:
        file: what is imported.
        address: where to; progress to another place does not count.
    """

    def __init__(self, file: Path, address: str) -> None:
        self._path = file.with_name(file.name + ".progress")
        self._whose = {"file": _fingerprint(file), "address": address}
        self.rows = 0
        self.refused = 0
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if found["whose"] == self._whose:
                self.rows, self.refused = int(found["rows"]), int(found["refused"])
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def keep(self, rows: int, refused: int) -> None:
        """Note that all rows up to a number are stored or reported."""
        self.rows, self.refused = rows, refused
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_text(json.dumps({"whose": self._whose, "rows": rows, "refused": refused}), encoding="utf-8")
        draft.replace(self._path)

    def over(self) -> None:
        """Forget it: the whole file was read."""
        self._path.unlink(missing_ok=True)


def _fingerprint(file: Path) -> str:
    """Return a digest of size, time and beginning of a file."""
    status = file.stat()
    with file.open("rb") as content:
        digest = hashlib.sha256(content.read(_FINGERPRINT_BYTES))
    digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
