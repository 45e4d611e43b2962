"""What needs torch runs in the environment that has it: `make test-training`."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_transformer_network.py"]
