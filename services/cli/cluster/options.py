"""Options that every cluster command shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

ContextOption = Annotated[
    str,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context of the kubeconfig. [dim]Else its current one.[/]",
        show_default=False,
        rich_help_panel="Where",
    ),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace of the mesh. [dim]Else the context's.[/]",
        show_default=False,
        rich_help_panel="Where",
    ),
]
ReleaseOption = Annotated[
    str,
    typer.Option(
        "--release",
        "-r",
        metavar="NAME",
        help="Helm release. [dim]Only needed when the namespace has several.[/]",
        show_default=False,
        rich_help_panel="Where",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(frozen=True)
class Where:
    """Which mesh is meant; empty fields are found out."""

    context: str = ""
    namespace: str = ""
    release: str = ""
