"""What needs torch is left to the environment that has it."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_vit_network.py", "test_vit_fitting.py"]
