from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.classical.training.bundle_folder import bundle_folder, hash_files, publishing


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    folder = bundle_folder(tmp_path, "default", "1")
    with publishing(folder) as draft:
        (draft / "one").write_bytes(b"1")
        assert not folder.exists()
        assert draft.name.startswith(".")
    assert (folder / "one").read_bytes() == b"1"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_other_users_may_read_it(tmp_path: Path) -> None:
    with publishing(tmp_path / "tenant" / "1"):
        pass
    assert (tmp_path / "tenant" / "1").stat().st_mode & 0o777 == 0o755


def publish(folder: Path, content: bytes, error: BaseException | None = None) -> None:
    with publishing(folder) as draft:
        (draft / "file").write_bytes(content)
        if error is not None:
            raise error


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "tenant" / "1", b"1", KeyboardInterrupt())
    assert list((tmp_path / "tenant").iterdir()) == []


def test_a_version_that_another_fit_published_meanwhile_stays(tmp_path: Path) -> None:
    folder = tmp_path / "tenant" / "1"
    publish(folder, b"first")
    with pytest.raises(OSError, match="not empty"):
        publish(folder, b"second")
    assert (folder / "file").read_bytes() == b"first"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_hashes_are_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert hash_files(tmp_path) == {"a": hashlib.sha256(b"x").hexdigest()}
