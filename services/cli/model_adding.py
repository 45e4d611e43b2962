"""`marquee models add`: from a published checkpoint to a model that serves."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from services.cli.console import output, stage
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.model_folders import own_repository
from services.cli.model_importers import all_importers
from services.cli.models import EXTRAS_ADVICE
from services.cli.tables import plain_table, titled
from services.runtime.training.imports.checkpoint import Checkpoint, read_architecture, read_checkpoint
from services.runtime.training.imports.importer import PRECISIONS, Importer, Precision, Wish, choose
from services.runtime.training.imports.publishing import check_name, check_room, import_checkpoint, needed_bytes
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.source import find_source

if TYPE_CHECKING:
    from services.runtime.training.imports.steps import Step


@dataclass(frozen=True)
class Asked:
    """The words of the command line; None where nothing was said. The repository is then that of the service that will
    serve the model.
    """

    reference: str
    name: str | None
    task: str | None
    precision: str
    repository: Path | None
    version: str | None
    yes: bool


@dataclass(frozen=True)
class Added:
    """What was published."""

    importer: Importer
    task: str
    name: str
    version: str
    folder: Path


def add_model(asked: Asked) -> Added:
    """Check, convert and publish a checkpoint.

    Raises:
        CommandFailed: it cannot be done; the message says why and what to do.
    """
    try:
        return _add(asked)
    except ImportRefused as error:
        raise CommandFailed(str(error), error.advice) from error
    except ModuleNotFoundError as error:
        raise CommandFailed(f"importing a model needs the package {error.name}", EXTRAS_ADVICE) from error


def _add(asked: Asked) -> Added:
    precision = _precision(asked.precision)
    importers = all_importers()

    def check_description(folder: Path, title: str) -> Path:
        importer, _ = choose(importers, read_architecture(folder, title)["architectures"][0], asked.task)
        repository = asked.repository or own_repository(importer.service)
        if asked.name is not None:
            check_name(repository, asked.name, asked.version)
        return repository

    def before_weights(folder: Path, title: str) -> None:
        check_description(folder, title)
        _require_libraries()

    source = find_source(asked.reference, _steps, before_weights)
    repository = check_description(source.folder, source.title)
    checkpoint = read_checkpoint(source.folder, source.title)
    importer, task = choose(importers, checkpoint.architecture, asked.task)
    importer.check(checkpoint, task)
    name = asked.name or name_of(source.name)
    version = check_name(repository, name, asked.version)
    wish = Wish(name, version, task, precision)
    check_room(repository, needed_bytes(checkpoint, precision))
    _require_libraries()
    _show_plan(checkpoint, wish, repository)
    _confirm(asked.yes)
    folder, imported = import_checkpoint(checkpoint, importer, wish, repository, _steps)
    output.print(f"[green]✓[/] {escape(name)}/{escape(version)} is in the repository")
    output.print(f"  [dim]{escape(imported.summary)}[/]")
    return Added(importer, task, name, version, folder)


def name_of(source: str) -> str:
    """Return a name for the repository made of a checkpoint's."""
    return "-".join(re.findall(r"[a-z0-9]+", source.lower()))[:64].strip("-")


def hide_from_git(folder: Path) -> None:
    """Keep an imported model that lies among the committed ones out of git: it is the user's, and large."""
    (folder.parent / ".gitignore").write_text("*\n", encoding="utf-8")


def _require_libraries() -> None:
    """Miss what the import needs before anything takes long."""
    for name in ("torch", "transformers", "onnx", "onnxscript"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(name=name)


def _precision(word: str) -> Precision:
    for precision in PRECISIONS:
        if precision == word:
            return precision
    raise CommandFailed(f"{word!r} is no precision", f"--precision takes: {', '.join(PRECISIONS)}", EXIT_WRONG_INPUT)


def _steps(label: str, total: int | None) -> AbstractContextManager[Step]:
    # Bytes by the million say nothing to anybody.
    return stage(label, total if total is None or total < 100_000 else None)


def _show_plan(checkpoint: Checkpoint, wish: Wish, repository: Path) -> None:
    table = plain_table()
    table.add_column("")
    table.add_column("", overflow="fold")
    for title, value in (
        ("from", f"{checkpoint.source}: {checkpoint.architecture}"),
        ("size", f"{checkpoint.parameters / 1e6:,.1f} M parameters, {checkpoint.weight_bytes / 1e6:,.0f} MB"),
        ("licence", checkpoint.license),
        ("becomes", f"{wish.name}/{wish.version} for {wish.task}, weights in {wish.precision}"),
        ("in", str(repository)),
        (
            "needs",
            f"up to {needed_bytes(checkpoint, wish.precision) / 1e6:,.0f} MB of disk and "
            f"{checkpoint.parameters * 10 / 1e6 + 1000:,.0f} MB of memory",
        ),
    ):
        table.add_row(title, escape(value))
    table.show_header = False
    output.print(titled("Import", table))


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("nobody is there to be asked", "Say --yes to go on without a question.", EXIT_WRONG_INPUT)
    typer.confirm("Go on?", abort=True)
