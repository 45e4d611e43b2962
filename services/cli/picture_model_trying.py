"""`marquee models try` for a model of the vision service: what it says of files of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc
from rich.markup import escape

from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1.vision_service_pb2_grpc import VisionServiceStub
from services.cli.channels import open_channel
from services.cli.console import output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.tables import plain_table, titled
from services.cli.tls import command_tls

# The first request loads a model that nobody asked for yet.
_SECONDS = 600.0
_SHOWN_NUMBERS = 6
_LABELS = 5
_OBJECTS = 10


def try_picture_model(address: str, name: str, task: str, files: Sequence[str]) -> None:
    """Ask a model and print what it says.

    Args:
        address: of the vision service.
        name: of the model.
        task: of the model; decides what is asked.
        files: paths of pictures.

    Raises:
        CommandFailed: a file cannot be read, nobody can ask a model of that task, or it refused.
    """
    images = [pb.Image(content=_read(file)) for file in files]
    with open_channel(address, tls=command_tls()) as channel:
        stub = VisionServiceStub(channel)
        try:
            match task:
                case "image-recognition":
                    said, column = _labels(stub, name, images), "labels"
                case "image-vectors":
                    said, column = _vectors(stub, name, images), "vector"
                case "object-detection":
                    said, column = _objects(stub, name, images), "objects"
                case _:
                    raise CommandFailed(
                        f"there is nothing to try with the task {task}",
                        "Of pictures this command knows labels, vectors and objects.",
                        EXIT_WRONG_INPUT,
                    )
        except grpc.RpcError as error:
            raise CommandFailed(f"{name}: {error.details() or error.code().name}") from error
    table = plain_table()
    table.add_column("picture", overflow="fold")
    table.add_column(column, overflow="fold")
    for file, words in zip(files, said, strict=True):
        table.add_row(escape(file), escape(words))
    output.print(titled(name, table))


def _read(file: str) -> bytes:
    try:
        return Path(file).expanduser().read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CommandFailed(f"{file[:200]} cannot be read: {reason}", exit_code=EXIT_WRONG_INPUT) from error


def _labels(stub: VisionServiceStub, name: str, images: Sequence[pb.Image]) -> list[str]:
    request = pb.ClassifyImageRequest(images=images, model=name, top_count=_LABELS)
    results = stub.ClassifyImage(request, timeout=_SECONDS).results
    return [", ".join(f"{one.label} {one.probability:.2f}" for one in result.labels) for result in results]


def _vectors(stub: VisionServiceStub, name: str, images: Sequence[pb.Image]) -> list[str]:
    reply = stub.EmbedImage(pb.EmbedImageRequest(images=images, model=name), timeout=_SECONDS)
    numbers = [memoryview(vector.values).cast("f").tolist()[:_SHOWN_NUMBERS] for vector in reply.vectors]
    return [f"{' '.join(f'{value:+.3f}' for value in row)} …, {reply.dimensions} numbers" for row in numbers]


def _objects(stub: VisionServiceStub, name: str, images: Sequence[pb.Image]) -> list[str]:
    request = pb.DetectObjectsRequest(images=images, model=name, top_count=_OBJECTS)
    lines = []
    for result in stub.DetectObjects(request, timeout=_SECONDS).results:
        found = []
        for one in result.objects:
            left, right = (round(edge * result.width) for edge in (one.box.left, one.box.right))
            top, bottom = (round(edge * result.height) for edge in (one.box.top, one.box.bottom))
            found.append(f"{one.label} {one.score:.2f} at {left},{top}-{right},{bottom}")
        lines.append("\n".join(found) or "nothing")
    return lines
