"""Modules that import torch are left out where it is missing; `make test-training` runs them."""

from __future__ import annotations

import importlib.util

_NEED_TORCH = ["test_recognition.py", "test_detection.py", "tiny.py"]
collect_ignore = [] if importlib.util.find_spec("torch") else _NEED_TORCH
