"""`--fail-if`: conditions that make a run fail, so that a pipeline can depend on it."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass

from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.load.crew import Result
from services.cli.load.histograms import percentiles

_CONDITION = re.compile(
    r"\s*(?P<what>p\d+(?:\.\d+)?|max|errors|not_sent|goodput)\s*(?P<sign>>=|<=|>|<)\s*"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ms|s|us|/s)?\s*"
)
_SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_MILLISECONDS = {"ms": 1.0, "s": 1000.0, "us": 0.001, None: 1.0}
ALLOWED = (
    "p50>20ms, p99.9>1s, max>5s (latency from the intended send), errors>1%, not_sent>0%, goodput<100/s, goodput<95% "
    "(of what was offered)"
)


@dataclass(frozen=True)
class Condition:
    """One condition, and how it went once it is checked.

    Attributes:
        text: as it was written.
        what: a percentile ("p99"), "max", "errors", "not_sent" or "goodput".
        sign: how to compare.
        limit: milliseconds, percent or calls a second.
        in_percent: of goodput: the limit is a share of the offered rate.
    """

    text: str
    what: str
    sign: str
    limit: float
    in_percent: bool = False

    def value(self, result: Result) -> float:
        """Return what the condition is about; NaN when there is nothing to judge."""
        total = result.recording.total
        if self.what == "errors":
            return 100 * (1 - total.ok / total.offered) if total.offered else math.nan
        if self.what == "not_sent":
            return 100 * total.not_sent / total.offered if total.offered else math.nan
        if self.what == "goodput":
            offered = result.offered_rate
            return result.goodput if not self.in_percent else 100 * result.goodput / offered if offered else math.nan
        level = 100.0 if self.what == "max" else float(self.what[1:])
        return percentiles(total.latency, [level])[level]

    def broken(self, result: Result) -> bool:
        """Tell whether the run must fail; it must when nothing could be measured."""
        value = self.value(result)
        return math.isnan(value) or bool(_SIGNS[self.sign](value, self.limit))


def parse_conditions(words: list[str]) -> list[Condition]:
    """Read conditions, several in one word with commas or spaces between them.

    Raises:
        CommandFailed: one is not understood.
    """
    found = []
    for text in (part for word in words for part in re.split(r"[,;]\s*|\s+(?=[a-z])", word.strip()) if part):
        match = _CONDITION.fullmatch(text)
        if not match:
            raise _not_understood(text)
        what, unit = match["what"], match["unit"]
        units = {"errors": ("%", None), "not_sent": ("%", None), "goodput": ("/s", "%", None)}.get(
            what, ("ms", "s", "us", None)
        )
        level = float(what[1:]) if what[0] == "p" else 0.0
        if unit not in units or level > 100:
            raise _not_understood(text)
        scale = _MILLISECONDS.get(unit, 1.0) if what[0] == "p" or what == "max" else 1.0
        found.append(Condition(text.strip(), what, match["sign"], float(match["number"]) * scale, unit == "%"))
    return found


def _not_understood(text: str) -> CommandFailed:
    return CommandFailed(f"--fail-if {text!r} is no condition", f"Allowed: {ALLOWED}", EXIT_WRONG_INPUT)
