"""Dynamic batching by cost: queues, engines, admission. No batch waits for company; it forms while others run."""

from __future__ import annotations
