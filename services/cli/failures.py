"""Turns what can go wrong into one clear line, advice and an exit code. A traceback is a fault, never an answer."""

from __future__ import annotations

from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

import marquee_client
from services.cli.console import errors
from services.cli.directory_lock import DirectoryInUse
from services.cli.local_mesh import MeshNotReady
from services.cli.ports import PortTaken
from services.runtime.sources import SourceUnavailable

EXIT_FAILED = 1
"""The command did what it could, and the answer is no."""
EXIT_WRONG_INPUT = 2
"""Something in the command has to be changed."""
EXIT_NO_MESH = 3
"""Nobody answered."""


class CommandFailed(Exception):
    """A command cannot go on.

    Args:
        message: what is wrong, in one line.
        advice: what to do about it; may be empty.
        exit_code: exit status of the process.
    """

    def __init__(self, message: str, advice: str = "", exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.advice = advice
        self.exit_code = exit_code


class MarqueeCommands(TyperGroup):
    """The root command: reports what its commands raise."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (
            marquee_client.MarqueeError,
            CommandFailed,
            MeshNotReady,
            OSError,
            DirectoryInUse,
            PortTaken,
            SourceUnavailable,
        ) as error:
            if isinstance(error, BrokenPipeError):  # whoever reads our output has seen enough
                raise
            message, advice, exit_code = explain(error)
            errors.print(f"[bold red]{escape(message)}[/]")
            if advice:
                errors.print(escape(advice))
            raise typer.Exit(exit_code) from error


def explain(error: Exception) -> tuple[str, str, int]:
    """Return message, advice and exit code for an error."""
    match error:
        case CommandFailed():
            return str(error), error.advice, error.exit_code
        case marquee_client.MarqueeError():
            return _explain_refusal(error)
        case DirectoryInUse():
            return str(error), "Stop the other mesh, or choose another folder with --data.", EXIT_FAILED
        case OSError() if error.strerror:
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror, "", EXIT_FAILED
        case PortTaken():
            return str(error), "Stop what uses it, or choose other ports with --port.", EXIT_FAILED
    return str(error), "", EXIT_FAILED


def _explain_refusal(error: marquee_client.MarqueeError) -> tuple[str, str, int]:
    match error:
        case marquee_client.DeadlineExceeded():
            return "no answer in time", "Look at `marquee status`; MARQUEE_TIMEOUT allows more seconds.", EXIT_NO_MESH
        case marquee_client.Unavailable():
            return error.message, "Try again in a moment; `marquee status` shows what is missing.", EXIT_NO_MESH
        case marquee_client.InvalidArgument():
            more = [f"{one.field}: {one.description}" for one in error.field_violations[1:]]
            return error.message, "\n".join(more), EXIT_WRONG_INPUT
        case marquee_client.NotFound() | marquee_client.FailedPrecondition():
            return error.message, "", EXIT_FAILED
        case marquee_client.Unimplemented():
            return "this server is no Marquee orchestrator, or an older one", f"It said: {error.message}", EXIT_FAILED
    advice = f"The service's log has more under request id {error.request_id}." if error.request_id else ""
    return f"{error.code.name}: {error.message}", advice, EXIT_FAILED
