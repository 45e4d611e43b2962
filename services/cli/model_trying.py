"""`marquee models try`: one question to a model of the text service, by its name."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from rich.markup import escape

from marquee.text.v1 import generation_pb2
from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.cli.channels import open_channel
from services.cli.console import output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.tables import plain_table, titled
from services.cli.tls import command_tls

# The first request loads a model that nobody asked for yet.
_SECONDS = 600.0
_SHOWN_NUMBERS = 6
_LABELS = 5


def try_text_model(address: str, name: str, task: str, texts: Sequence[str]) -> None:
    """Ask a model and print what it says.

    Args:
        address: of the text service.
        name: of the model.
        task: of the model; decides what is asked.
        texts: texts, or one prompt.

    Raises:
        CommandFailed: nobody can ask a model of that task, or it refused.
    """
    with open_channel(address, tls=command_tls()) as channel:
        stub = TextServiceStub(channel)
        try:
            match task:
                case "sentence-vectors" | "word-vectors":
                    _vectors(stub, name, texts)
                case "text-classification":
                    _labels(stub, name, texts)
                case "text-generation":
                    _text(stub, name, " ".join(texts))
                case _:
                    raise CommandFailed(
                        f"there is nothing to try with the task {task}",
                        "This command knows vectors, classification and generation.",
                        EXIT_WRONG_INPUT,
                    )
        except grpc.RpcError as error:
            raise CommandFailed(f"{name}: {error.details() or error.code().name}") from error


def _vectors(stub: TextServiceStub, name: str, texts: Sequence[str]) -> None:
    reply = stub.EmbedText(pb.EmbedTextRequest(texts=texts, model=name), timeout=_SECONDS)
    vectors = [memoryview(vector.values).cast("f").tolist() for vector in reply.vectors]
    table = plain_table()
    table.add_column("text", overflow="fold")
    table.add_column("vector")
    for number in range(len(texts)) if len(texts) > 1 else ():
        table.add_column(f"cosine to {number + 1}", justify="right")
    for text, vector in zip(texts, vectors, strict=True):
        start = " ".join(f"{value:+.3f}" for value in vector[:_SHOWN_NUMBERS])
        near = [f"{sum(a * b for a, b in zip(vector, other, strict=True)):.3f}" for other in vectors]
        table.add_row(escape(text), f"{start} …", *(near if len(texts) > 1 else ()))
    output.print(titled(f"{name}: {reply.dimensions} numbers a text", table))


def _labels(stub: TextServiceStub, name: str, texts: Sequence[str]) -> None:
    reply = stub.ClassifyText(pb.ClassifyTextRequest(texts=texts, model=name, top_count=_LABELS), timeout=_SECONDS)
    table = plain_table()
    table.add_column("text", overflow="fold")
    table.add_column("labels", overflow="fold")
    for text, result in zip(texts, reply.results, strict=True):
        table.add_row(escape(text), escape(", ".join(f"{one.label} {one.score:.2f}" for one in result.labels)))
    output.print(titled(f"{name}: the most probable labels", table))


def _text(stub: TextServiceStub, name: str, prompt: str) -> None:
    request = generation_pb2.GenerateTextRequest(prompt=prompt, model=name)
    output.print(f"[dim]{escape(prompt)}[/]", end="")
    last = generation_pb2.GenerateTextResponse()
    for last in stub.GenerateText(request, timeout=_SECONDS):
        output.print(last.text, end="", markup=False)
    usage = last.usage
    output.print()
    first = usage.first_token_microseconds / 1000
    output.print(f"[dim]{usage.generated_tokens} tokens, the first after {first:.0f} ms[/]")
