"""Which versions of a model serve: `latest:2`, `specific:1,3` or `all`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

DEFAULT_POLICY = "latest:1"
EVERY_MODEL = "*"
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ADVICE = "use latest:<count>, specific:<version>,<version>… or all"


class PolicyInvalid(ValueError):
    """A version policy cannot be read; the message says what is wrong."""


@dataclass(frozen=True)
class VersionPolicy:
    """Which of a model's versions serve side by side.

    Attributes:
        kind: `latest` takes the newest `count`, `specific` those of `versions`, `all` every one.
    """

    kind: Literal["latest", "specific", "all"]
    count: int = 0
    versions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """Read a policy; `latest` alone means `latest:1`.

        Raises:
            PolicyInvalid: the text is no policy.
        """
        kind, _, rest = text.strip().partition(":")
        if kind == "all" and not rest:
            return cls("all")
        if kind == "latest":
            if rest and not (rest.isascii() and rest.isdecimal() and 0 < int(rest[:9]) <= 1_000):
                raise PolicyInvalid(f"version policy {text!r}: the count must be a whole number from 1 to 1000")
            return cls("latest", count=int(rest or 1))
        if kind == "specific":
            versions = tuple(version.strip() for version in rest.split(","))
            bad = next((version for version in versions if not _VERSION.fullmatch(version)), None)
            if bad is not None:
                raise PolicyInvalid(f"version policy {text!r}: {bad!r} is no version; {_ADVICE}")
            return cls("specific", versions=versions)
        raise PolicyInvalid(f"version policy {text!r} is not known; {_ADVICE}")

    def choose(self, versions: Iterable[str]) -> list[str]:
        """Return those of `versions` that serve, newest first."""
        newest_first = in_order(versions)
        if self.kind == "latest":
            return newest_first[: self.count]
        if self.kind == "specific":
            return [version for version in newest_first if version in self.versions]
        return newest_first

    def __str__(self) -> str:
        if self.kind == "latest":
            return f"latest:{self.count}"
        return "all" if self.kind == "all" else f"specific:{','.join(self.versions)}"


@dataclass(frozen=True)
class VersionPolicies:
    """The policy of each model; those not named have the default."""

    default: VersionPolicy
    named: Mapping[str, VersionPolicy]

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> VersionPolicies:
        """Read the policies by model name; `*` is the default.

        Raises:
            PolicyInvalid: naming the model whose policy cannot be read.
        """
        policies = {}
        for name, text in texts.items():
            try:
                policies[name] = VersionPolicy.parse(text)
            except PolicyInvalid as error:
                raise PolicyInvalid(f"{name}: {error}") from error
        default = policies.pop(EVERY_MODEL, VersionPolicy.parse(DEFAULT_POLICY))
        return cls(default, policies)

    def of(self, name: str) -> VersionPolicy:
        """Return the policy of a model."""
        return self.named.get(name, self.default)


def in_order(versions: Iterable[str]) -> list[str]:
    """Return versions newest first: numbers from the highest down, then other names from the last of the alphabet up.

    A number is newer than any name, so that a folder `backup` never takes the place of version 7.
    """
    return sorted(versions, key=_age, reverse=True)


def _age(version: str) -> tuple[bool, int, str]:
    number = version.isascii() and version.isdecimal()
    return (number, int(version) if number else 0, version)
