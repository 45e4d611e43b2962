"""Makes tiny random vision checkpoints, imports them, and asks the service and the transformers library alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import torch
import transformers
from PIL import Image

from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from services.runtime.training.imports.checkpoint import read_checkpoint
from services.runtime.training.imports.importer import EMBEDDED_BYTES, Precision, Wish, choose
from services.runtime.training.imports.publishing import import_checkpoint
from services.vision.main import build
from services.vision.settings import VisionSettings
from services.vision.training.imports.importers import importers
from services.vision.training.imports.preprocessing import PREPROCESSOR_FILE
from services.vision.training.pictures import PICTURES
from tests.support.checkpoints import write_json
from tests.support.servers import running

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"
FILES = [PICTURES / f"{name}.jpg" for name in ("astronaut", "cat", "pagoda", "photographer")]
VIT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
STRETCHED = {"size": {"height": 64, "width": 64}, "resample": 2}


def write_tiny(
    folder: Path, network: Any, preprocessor: Mapping[str, Any] | None, seed: int = 0, spread: float = 0.2
) -> torch.nn.Module:
    """Write a network as a checkpoint with random weights, large enough that answers differ, and return it."""
    torch.manual_seed(seed)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    made: torch.nn.Module = network.eval().requires_grad_(False)
    for parameter in made.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=spread)
    network.save_pretrained(folder)
    if preprocessor is not None:
        write_json(folder / PREPROCESSOR_FILE, preprocessor)
    return made


def import_tiny(
    folder: Path,
    repository: Path,
    name: str = "mine",
    *,
    precision: Precision = "float32",
    embedded_bytes: int = EMBEDDED_BYTES,
) -> Path:
    """Import a checkpoint and return the version's folder."""
    checkpoint = read_checkpoint(folder, f"the folder {folder.name}")
    importer, chosen = choose(importers(), checkpoint.architecture, None)
    wish = Wish(name, "1", chosen, precision, embedded_bytes)
    return import_checkpoint(checkpoint, importer, wish, repository)[0]


@asynccontextmanager
async def service(models: Path, scratch: Path) -> AsyncIterator[Stub]:
    """Run a vision service with the imported model as its default."""
    settings = VisionSettings(
        port=0, model_repository=models, bundle_repository=scratch, default_model="mine", default_objects_model="mine"
    )
    async with running(build(settings), settings) as server:
        yield vision_service_pb2_grpc.VisionServiceStub(server.channel)


def images() -> list[pb.Image]:
    """Return the pictures, for a request."""
    return [pb.Image(content=path.read_bytes()) for path in FILES]


def processed(processor: Any, path: Path) -> torch.Tensor:
    """Return what the library's own processor makes of a picture: float32 [1, 3, H, W]."""
    with Image.open(path) as opened:
        values: torch.Tensor = processor(images=opened.convert("RGB"), return_tensors="pt")["pixel_values"]
    return values
