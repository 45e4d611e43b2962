"""What a check of the cluster found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from services.cli.cluster.refusals import Refused


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "not checked"


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was looked at.
        level: how bad it is.
        said: what was found, in a sentence.
        advice: what to do; empty when nothing.
    """

    name: str
    level: Level
    said: str
    advice: str = ""


def guarded(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """Run a check; a right that is missing is a finding of its own, not the end of all checks."""
    try:
        return list(look())
    except Refused as error:
        if error.status == HTTPStatus.FORBIDDEN:
            return [Check(name, Level.SKIP, str(error), error.advice)]
        return [Check(name, Level.WARN, str(error), error.advice)]
