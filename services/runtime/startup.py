"""Why a service may not start; any part of it may raise these while it starts."""

from __future__ import annotations


class CannotStart(RuntimeError):
    """The service cannot start; the message says why and what to do."""


class AddressInUse(CannotStart):
    """The address cannot be listened on."""
