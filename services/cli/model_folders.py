"""The model repositories of the services whose models can be imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.runtime.settings import ModelServiceSettings

IMPORTING_SERVICES = ("text", "vision")


def own_repository(service: str) -> Path:
    """Return the folder that a service reads unless it is told otherwise.

    Raises:
        CommandFailed: a variable of the service holds what it must not.
    """
    try:
        return _settings(service)().model_repository
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"MARQUEE_{service.upper()}_{str(first['loc'][0]).upper()}"
        raise CommandFailed(f"{variable}: {first['msg']}", exit_code=EXIT_WRONG_INPUT) from error


def _settings(service: str) -> Callable[[], ModelServiceSettings]:
    # Imported here: each brings a service's code with it, and most commands need none.
    if service == "vision":
        from services.vision.settings import VisionSettings

        return VisionSettings
    from services.text.settings import TextSettings

    return TextSettings
