from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.runtime.cores import available_cores
from services.text.settings import TextSettings

ALL = {0, 1, 2, 3}


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: ALL)


def test_without_a_limit_it_is_what_the_process_may_run_on(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 4
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cores(tmp_path) == 4


@pytest.mark.parametrize(("quota", "expected"), [(200_000, 2), (150_000, 1), (50_000, 1), (800_000, 4)])
def test_a_containers_limit_counts(tmp_path: Path, quota: int, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota} 100000\n")
    assert available_cores(tmp_path) == expected


def test_so_does_that_of_the_older_control_groups(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == 3
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert available_cores(tmp_path) == 4


def test_what_cannot_be_read_is_no_limit(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("nonsense")
    assert available_cores(tmp_path) == 4


def test_engines_go_by_it() -> None:
    assert TextSettings().engines == available_cores()
