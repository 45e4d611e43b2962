"""Why a checkpoint is not imported."""

from __future__ import annotations


class ImportRefused(ValueError):
    """A checkpoint cannot be imported, or must not be.

    Args:
        message: what is wrong, in one line.
        advice: what to do about it; may be empty.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice
