"""The orchestrator's state: catalogue, events, statistics and the pointer to the serving bundle.

`Store` is what the rest of the orchestrator sees; `open_store` opens the implementation that a URL names.
"""

from __future__ import annotations

from services.orchestrator.store.factory import open_store
from services.orchestrator.store.protocol import Store

__all__ = ["Store", "open_store"]
