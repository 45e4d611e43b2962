"""Request checks that name the field and the limit. All violations of a request are reported together."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence, Sized

from services.runtime.errors import FieldViolation, InvalidRequest

_TENANT = re.compile(r"[a-z0-9-]{1,64}")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_MAXIMUM_REPORTED = 50
DEFAULT_TENANT = "default"


class Violations:
    """Collects field violations; `raise_if_any` ends the request when there are some.

    Every check returns True when the value passed, so that dependent checks can be skipped.
    """

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    @property
    def found(self) -> Sequence[FieldViolation]:
        """What was recorded so far."""
        return tuple(self._found)

    def add(self, field: str, description: str) -> bool:
        """Record a violation; returns False so that a check can end with it."""
        if len(self._found) < _MAXIMUM_REPORTED:
            self._found.append(FieldViolation(field, description))
        return False

    def raise_if_any(self, reason: str = "INVALID_FIELD") -> None:
        """Raise `InvalidRequest` with everything recorded so far, if anything was."""
        if self._found:
            raise InvalidRequest(self._found, reason)

    def text(self, field: str, value: str, *, maximum: int, minimum: int = 1, blank: bool = False) -> bool:
        """Check the number of characters, and that the text is not only white space unless `blank` is allowed."""
        if len(value) < minimum:
            return self.add(field, "is empty; it is required" if not value else f"is shorter than {minimum} characters")
        if len(value) > maximum:
            return self.add(field, f"has {len(value):,} characters; the limit is {maximum:,}")
        if minimum > 0 and not blank and not value.strip():
            return self.add(field, "holds only white space; it needs text")
        return True

    def identifier(self, field: str, value: str, *, maximum: int = 128) -> bool:
        """Check an id: 1 to `maximum` characters, none of them a control character."""
        if not self.text(field, value, maximum=maximum):
            return False
        if any(unicodedata.category(character) == "Cc" for character in value):
            return self.add(field, "holds a control character; identifiers are printable")
        return True

    def count(self, field: str, values: Sized, *, maximum: int, minimum: int = 0) -> bool:
        """Check the length of a repeated field."""
        if len(values) < minimum:
            return self.add(field, f"has {len(values)} entries; at least {minimum} is required")
        if len(values) > maximum:
            return self.add(field, f"has {len(values):,} entries; the limit is {maximum:,}")
        return True

    def unique(self, field: str, values: Sequence[str]) -> bool:
        """Check that a repeated field names nothing twice."""
        seen: set[str] = set()
        for index, value in enumerate(values):
            if value in seen:
                return self.add(f"{field}[{index}]", f"repeats {value[:80]!r}")
            seen.add(value)
        return True

    def within(self, field: str, value: float, minimum: float, maximum: float) -> bool:
        """Check that a number is finite and within its range, both ends included."""
        if not math.isfinite(value) or not minimum <= value <= maximum:
            return self.add(field, f"is {value:g}; the range is {minimum:g} to {maximum:g}")
        return True

    def size(self, field: str, value: int, *, default: int, maximum: int) -> int:
        """Return a requested count by the common rule: zero means `default`, above `maximum` is coerced, negative is a
        violation.
        """
        if value < 0:
            self.add(field, f"is {value}; it must not be negative (zero means {default}, the limit is {maximum:,})")
        return min(value, maximum) if value > 0 else default

    def tenant(self, field: str, value: str) -> str:
        """Return the tenant, `default` for an empty one."""
        if value and not _TENANT.fullmatch(value):
            self.add(field, "is no tenant name: at most 64 characters of a-z, 0-9 and '-'")
        return value or DEFAULT_TENANT

    def version(self, field: str, value: str) -> bool:
        """Check a bundle version, which also names a folder."""
        if not value:
            return self.add(field, "is empty; it is required")
        if not _VERSION.fullmatch(value):
            return self.add(
                field,
                "is no version: at most 64 characters of a-z, A-Z, 0-9, '.', '_' and '-', not starting with '.' or '-'",
            )
        return True
