"""Tiny random checkpoints of each architecture, made by the transformers library; modules that need it are left out
where torch is missing.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_NEED_TORCH = ["test_decoders.py", "test_encoders.py", "test_generation.py"]
collect_ignore = [] if importlib.util.find_spec("torch") else _NEED_TORCH


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository for what the tests of a module import."""
    return tmp_path_factory.mktemp("repository")
