"""How a version of a model is, as the index tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.runtime.repository.loader import LoadedModel


class State(StrEnum):
    """Life of a version."""

    UNLOADED = "UNLOADED"
    """On disk, not in memory."""
    LOADING = "LOADING"
    """Being verified, opened, checked or warmed up."""
    READY = "READY"
    """Serves."""
    FAILED = "FAILED"
    """Refused; the reason says why."""
    UNLOADING = "UNLOADING"
    """Takes no new requests; those in flight still hold its memory."""


@dataclass(frozen=True)
class VersionState:
    """One version of the index.

    Attributes:
        reason: why it does not serve, or why its newer files were refused while the older ones serve on.
        task: what it is for; empty when the manifest cannot be read.
        required: whether readiness waits for the model.
        model: what serves; None when nothing does.
        default: whether requests that name no version get it.
        policy: version policy of the model, for example `latest:1`.
        verified_bytes: while it is being loaded, how much of its files has been verified; else 0.
    """

    name: str
    version: str
    state: State
    reason: str = ""
    task: str = ""
    required: bool = True
    size_bytes: int = 0
    model: LoadedModel | None = None
    default: bool = False
    policy: str = ""
    verified_bytes: int = 0
