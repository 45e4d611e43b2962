"""Puts the generated contracts into the client's wheel; an editable install reads them where they are."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONTRACTS = "../../protos/python"
PACKAGES = ("marquee", "inference")
LICENSE = "../../LICENSE"


class ContractsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds files from outside the project's folder to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Include the contracts and the licence, unless `version` is "editable"."""
        if version == "standard":
            build_data["force_include"].update({f"{CONTRACTS}/{package}": package for package in PACKAGES})
            build_data["force_include"][LICENSE] = "marquee_client/LICENSE"
