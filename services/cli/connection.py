"""The commands' way to the orchestrator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from marquee_client import DeadlineExceeded, MarqueeClient, Unavailable
from services.cli.failures import EXIT_NO_MESH, CommandFailed
from services.cli.health import listens
from services.cli.settings import command_settings
from services.cli.tls import command_tls, tls_problem


@contextmanager
def connected(target: str | None = None) -> Iterator[MarqueeClient]:
    """Connect to the orchestrator, and say what to do when there is none.

    Args:
        target: value of the `--target` option; None takes the settings' address.
    """
    settings = command_settings()
    address = target or settings.target
    nobody = CommandFailed(
        f"no orchestrator at {address}: start one with `marquee up`",
        "Another address can be named with --target or MARQUEE_TARGET.",
        EXIT_NO_MESH,
    )
    if not listens(address, settings.timeout):  # at once, without the client's patience
        raise nobody
    with MarqueeClient(address, timeout=settings.timeout, tls=command_tls()) as client:
        try:
            yield client
        except (Unavailable, DeadlineExceeded) as error:
            if error.reason:  # a Marquee service said so
                raise
            if problem := tls_problem(address):
                raise problem from error
            if isinstance(error, DeadlineExceeded):
                raise
            raise nobody from error
