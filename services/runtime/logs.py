"""Structured logs on stderr: one event a line, every line of a call with its request id. structlog does the work."""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

import structlog

from services.runtime.request_context import current_request_or_none
from services.runtime.settings import ServiceSettings


def configure_logs(service: str, settings: ServiceSettings) -> None:
    """Send the logs of this process to stderr in the format and from the level that `settings` name."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def add_request_id(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add the id of the call that is being served, if there is one: a structlog processor."""
    call = current_request_or_none()
    if call is not None:
        event.setdefault("request_id", call.request_id)
    return event


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(module=name))
