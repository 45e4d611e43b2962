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


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), publishing(tmp_path / "tenant" / "1") as draft:
        (draft / "one").write_bytes(b"1")
        raise KeyboardInterrupt
    assert list((tmp_path / "tenant").iterdir()) == []


def test_the_second_of_two_fits_of_one_version_fails_and_the_first_stays(tmp_path: Path) -> None:
    folder = tmp_path / "tenant" / "1"
    with pytest.raises(OSError), publishing(folder) as second:  # noqa: PT011
        (second / "file").write_bytes(b"second")
        with publishing(folder) as first:
            (first / "file").write_bytes(b"first")
    assert (folder / "file").read_bytes() == b"first"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_hashes_are_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert hash_files(tmp_path) == {"a": hashlib.sha256(b"x").hexdigest()}
