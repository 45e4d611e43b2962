"""Options that every command shares, read from variables that start with MARQUEE_."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed


class CommandSettings(BaseSettings):
    """Where the mesh is. An option on the command line goes before the variable."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_", extra="ignore")

    target: str = Field(
        default="127.0.0.1:50060", description="gRPC target of the orchestrator, for example dns:///orchestrator:50060."
    )
    text_target: str = Field(
        default="", description="gRPC target of the text service, for `status`; else the orchestrator's plus 1."
    )
    vision_target: str = Field(
        default="", description="gRPC target of the vision service, for `status`; else the orchestrator's plus 2."
    )
    classical_target: str = Field(
        default="",
        description="gRPC target of the classical service, for `status`; else the orchestrator's plus 3.",
    )
    tls_ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities that may have signed the services' certificates. One of the TLS "
        "variables makes all commands speak TLS.",
    )
    tls_certificate_file: Path | None = Field(
        default=None, description="PEM file with the certificate to show, where the services want to see one."
    )
    tls_key_file: Path | None = Field(default=None, description="PEM file with its private key, without a password.")
    tls_server_name: str = Field(
        default="", description="Name in the services' certificates, where it is not the one in the target."
    )
    timeout: float = Field(default=10.0, gt=0, le=3600, description="Seconds to wait for an answer.")


TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        metavar="HOST:PORT",
        help="Where the orchestrator listens. [dim]Variable MARQUEE_TARGET; else 127.0.0.1:50060.[/dim]",
        show_default=False,
    ),
]


def command_settings() -> CommandSettings:
    """Read the settings; a wrong variable is reported by its name."""
    try:
        return CommandSettings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = "MARQUEE_" + str(first["loc"][0]).upper()
        raise CommandFailed(f"{variable}: {first['msg']}", exit_code=EXIT_WRONG_INPUT) from error
