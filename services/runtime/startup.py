"""Why a service may not start; any part of it may raise these while it starts."""

from __future__ import annotations

import sys
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class CannotStart(RuntimeError):
    """The service cannot start; the message says why and what to do."""


class AddressInUse(CannotStart):
    """The address cannot be listened on."""


def setting_name(settings: BaseSettings, field: str) -> str:
    """Return the environment variable of a setting, for messages."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def read_settings(kind: type[SettingsT], service: str) -> SettingsT:
    """Return the settings from the environment. Ends the process with status 1, and one line for each setting that is
    wrong, when there is one; values are not repeated, they may be secret.
    """
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        lines = [
            f"marquee {service}: {prefix}{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        ]
        sys.exit("\n".join(lines))
