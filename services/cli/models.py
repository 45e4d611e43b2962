"""`marquee models`: bring your own model, look at what there is, try it, remove it."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from marquee.common.v1 import model_repository_pb2 as pb
from services.cli.console import output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.model_folders import IMPORTING_SERVICES, own_repository
from services.cli.model_service_link import ModelServiceLink
from services.cli.settings import TargetOption
from services.cli.status import STATE_WORDS
from services.cli.tables import megabytes, plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee models add hf:./my-model                       [dim]# a folder that save_pretrained() wrote[/]

  marquee models add hf:sentence-transformers/all-MiniLM-L6-v2 --precision int8

  marquee models try my-model "a witty film"             [dim]# what it says; or picture.jpg[/]

  marquee models list

[dim]Importing needs torch and transformers; serving does not. docs/bring-your-own-models.md lists what was tested.[/]
"""
ADD_EPILOG = """
[bold]Examples[/]

  marquee models add hf:./tiny-llama    [dim]# config.json, tokenizer.json, model.safetensors[/]

  marquee models add hf:Qwen/Qwen3-0.6B --precision int8 --name writer

  marquee models add hf:./reviews --task classification --version 2

[bold]What can be imported[/]

  generation       Llama-, Qwen2-, Qwen3- and GPT-2-type decoders

  vectors          BERT-, RoBERTa-, XLM-RoBERTa- and DistilBERT-type encoders

  classification   the same encoders with a head for labels

  pictures         ViT for labels or vectors, DETR and YOLOS for objects

[bold]What happens[/]

  The files are checked, the network is exported as an ONNX graph, and its answers are held against the original's.
  When they agree, it is published, and a running text service loads it. float16 is half the size, int8 a quarter.

[dim]Weights are read from safetensors only, and code that a checkpoint brings is never run.[/]
"""
app = typer.Typer(no_args_is_help=True)
EXTRAS_ADVICE = (
    "Install the extras: pip install 'marquee[text,fit,cpu,training]'; in a checkout: make models-add ARGS=\"hf:…\""
)
_SERVICES = ("text", "vision", "classical")

NameArgument = Annotated[str, typer.Argument(help="Name of the model in the repository.", metavar="NAME")]
RepositoryOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Model repository. [dim]Variable MARQUEE_TEXT_MODEL_REPOSITORY or …VISION…; else the service's own.[/dim]",
        file_okay=False,
        show_default=False,
    ),
]


@app.command(epilog=ADD_EPILOG)
def add(
    source: Annotated[
        str, typer.Argument(metavar="hf:NAME_OR_FOLDER", help="A model of the Hugging Face hub, or a folder.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name in the repository. [dim]Else the source's own.[/dim]", show_default=False)
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="For encoders vectors or classification. [dim]Else what the network was made for.[/dim]",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="PRECISION", help="Of the weights: float32, float16 or int8.")
    ] = "float32",
    repository: RepositoryOption = None,
    version: Annotated[
        str | None, typer.Option(metavar="N", help="Version; a new name starts with 1.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the work begins.")] = False,
    target: TargetOption = None,
) -> None:
    """Bring your own model: check a published checkpoint, convert it, compare it with the original, let it serve."""
    try:
        from services.cli.model_adding import Asked, add_model, hide_from_git
    except ModuleNotFoundError as error:
        raise CommandFailed(f"importing a model needs the package {error.name}", EXTRAS_ADVICE) from error
    added = add_model(Asked(source, name, task, precision, repository, version, yes))
    if added.folder.parents[1].resolve() == (Path(__file__).parents[1] / added.importer.service / "models").resolve():
        hide_from_git(added.folder)
    output.print(f"  [dim]Its card: {escape(str(added.folder / 'card.md'))}[/]")
    link = ModelServiceLink(added.importer.service, target)
    if link.listens():
        status = link.load(added.name, added.version)
        output.print(f"[green]✓[/] {escape(added.name)}/{escape(added.version)} serves on {_runs_on(status)}")
    else:
        own = repository is None or repository.resolve() == own_repository(link.service).resolve()
        output.print(f"No {link.service} service runs. Start one: [bold]{_start(link.service, repository, own)}[/]")
        if not own:
            output.print("[dim]That folder needs Marquee's own models too; links to their folders will do.[/]")
    sample = "picture.jpg" if link.service == "vision" else "a gorgeous, witty film"
    sample = "Once upon a time" if added.task == "generation" else sample
    output.print(f"Next: [bold]marquee models try {escape(added.name)} {shlex.quote(sample)}[/]")


@app.command("list")
def list_models(target: TargetOption = None) -> None:
    """List the models of the running services, loaded or not."""
    table = plain_table()
    for column in ("service", "model", "version", "task", "state"):
        table.add_column(column, overflow="fold")
    table.add_column("size", justify="right")
    links = [link for link in (ModelServiceLink(service, target) for service in _SERVICES) if link.listens()]
    if not links:
        ModelServiceLink("text", target).models()  # says that nobody answers
    for link in links:
        for model in link.models():
            state = STATE_WORDS.get(model.state, "?")
            table.add_row(link.service, model.name, model.version, model.task, state, megabytes(model.size_bytes))
    output.print(titled("Models", table, "A model that is not loaded is loaded by its first request."))


@app.command()
def show(name: NameArgument, target: TargetOption = None) -> None:
    """Show a model's versions as the running service knows them."""
    link, found = _find(name, target)
    for model in found:
        table = plain_table()
        table.show_header = False
        table.add_column("")
        table.add_column("", overflow="fold")
        for title, value in (
            ("service", f"{link.service} at {link.address}"),
            ("task", model.task),
            ("state", STATE_WORDS.get(model.state, "?")),
            ("why", escape(model.reason)),
            ("runs on", _runs_on(model)),
            ("files", megabytes(model.size_bytes)),
            ("verified", megabytes(model.verified_bytes) if model.verified_bytes else ""),
            ("load", f"{model.load_milliseconds:,} ms" if model.load_milliseconds else ""),
            ("answers without a version", "yes" if model.default_version else "no"),
            ("readiness waits for it", "yes" if model.required else "no"),
        ):
            if value:
                table.add_row(title, value)
        output.print(titled(f"{model.name}/{model.version}", table))


@app.command("try", epilog='[bold]Example[/]\n\n  marquee models try my-model "a witty film" "a dull film"')
def try_model(
    name: NameArgument,
    texts: Annotated[
        list[str], typer.Argument(help="Texts, the prompt of a language model, or files of pictures.", metavar="TEXT…")
    ],
    target: TargetOption = None,
) -> None:
    """Ask a model by its name: vectors, labels or more text; of pictures vectors, labels or objects."""
    from services.cli.model_trying import try_text_model
    from services.cli.picture_model_trying import try_picture_model

    link, found = _find(name, target)
    ask = try_picture_model if link.service == "vision" else try_text_model
    ask(link.address, name, found[-1].task, texts)


@app.command()
def remove(
    name: NameArgument,
    version: Annotated[str | None, typer.Option(help="Only this version.", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    repository: RepositoryOption = None,
    target: TargetOption = None,
) -> None:
    """Take an imported model out of service and delete its files. Models that services need are refused."""
    from services.runtime.training.imports.publishing import check_removable, versions_of
    from services.runtime.training.imports.refusal import ImportRefused

    roots = [repository] if repository else [own_repository(service) for service in IMPORTING_SERVICES]
    root = next((root for root in roots if versions_of(root, name)), roots[0])
    versions = [version] if version else versions_of(root, name)
    try:
        folders = check_removable(root, name, versions)
    except ImportRefused as error:
        raise CommandFailed(str(error), error.advice, EXIT_WRONG_INPUT) from error
    if not yes:
        typer.confirm(f"Delete {', '.join(str(folder) for folder in folders)}?", abort=True)
    for folder in folders:
        for link in (ModelServiceLink(service, target) for service in IMPORTING_SERVICES):
            if link.listens() and any((one.name, one.version) == (name, folder.name) for one in link.models()):
                link.unload(name, folder.name)
        shutil.rmtree(folder)
    if not versions_of(root, name):
        shutil.rmtree(root / name)
    output.print(f"[green]✓[/] removed {escape(name)} {escape(', '.join(versions))}")


def _find(name: str, target: str | None) -> tuple[ModelServiceLink, list[pb.ModelStatus]]:
    """Return the service that has a model, and its versions there."""
    known: list[str] = []
    links = [link for link in (ModelServiceLink(service, target) for service in _SERVICES) if link.listens()]
    for link in links:
        models = link.models()
        found = [model for model in models if model.name == name]
        if found:
            return link, found
        known += [model.name for model in models]
    if not links:
        ModelServiceLink("text", target).models()  # says that nobody answers
    there = ", ".join(sorted(set(known))) or "none"
    raise CommandFailed(f"no service has a model {name!r}", f"There are: {there}", EXIT_WRONG_INPUT)


def _runs_on(model: pb.ModelStatus) -> str:
    return escape(model.execution_provider.removesuffix("ExecutionProvider"))


def _start(service: str, repository: Path | None, own: bool) -> str:
    if own:
        return "marquee up"
    return f"MARQUEE_{service.upper()}_MODEL_REPOSITORY={escape(shlex.quote(str(repository)))} marquee up"
