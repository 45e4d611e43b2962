"""What needs torch is left to the environment that has it: `make test-training`."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_mini_xception.py"]
