"""Which entries of a lock are fetched for an image, whatever machine fetches them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.images import wheels
from deploy.images.wheels import FetchFailed, fetch, requirements

LOCK = """# Environment
av==18.1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via marquee
av==19.0.2 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
numpy==2.4.6 \\
    --hash=sha256:ee
"""


def test_conditions_are_judged_for_the_image() -> None:
    assert list(requirements(LOCK, "x86_64")) == [
        "av==18.1.0 --hash=sha256:aa --hash=sha256:bb",
        "numpy==2.4.6 --hash=sha256:ee",
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(wheels, "WHEELS", tmp_path)
    return tmp_path


def test_what_is_there_is_not_fetched_again(folder: Path) -> None:
    for name in ("av-18.1.0-cp310-abi3-manylinux_2_28_x86_64.whl", "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl"):
        (folder / name).touch()
    lock = folder / "lock.txt"
    lock.write_text(LOCK)
    fetch(lock, "x86_64")  # would ask the index, which has no such checksums


def test_what_cannot_be_had_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = folder / "lock.txt"
    lock.write_text(LOCK)
    with pytest.raises(FetchFailed, match=r"cannot fetch the packages of lock.txt: .*av==18.1.0"):
        fetch(lock, "x86_64")
