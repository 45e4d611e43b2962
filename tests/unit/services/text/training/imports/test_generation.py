"""An imported decoder through the real GenerateText. Needs torch: `make test-training` runs this."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from marquee.text.v1 import generation_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.checkpoints import BEGIN, byte_tokenizer
from tests.support.dummy_model import NAME, write_model
from tests.support.servers import running
from tests.unit.services.text.training.imports.tiny import DECODERS, import_tiny, write_tiny

# An export takes seconds, and more than a minute where the machine has other work.
pytestmark = pytest.mark.timeout(900)
PROMPT = "Two robots fall in love"
COUNT = 24


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
async def test_the_most_probable_text_is_the_originals(models: Path, tmp_path: Path, kind: str) -> None:
    template = "<s> $A" if kind == "llama" else ""
    network = write_tiny(tmp_path / kind, transformers.AutoModelForCausalLM, DECODERS[kind], template)
    import_tiny(tmp_path / kind, models, "mine")
    write_model(models)
    tokenizer = byte_tokenizer()
    prompt = [*([BEGIN] if kind == "llama" else []), *tokenizer.encode(PROMPT).ids]
    expected = prompt[:]
    for _ in range(COUNT):
        logits = network(input_ids=torch.tensor([expected])).logits[0, -1]
        expected.append(int(logits.argmax()))
        if expected[-1] == 1:
            break
    settings = TextSettings(port=0, model_repository=models, bundle_repository=tmp_path, default_model=NAME)
    options = pb.GenerationOptions(max_tokens=COUNT, temperature=0)
    async with running(build(settings), settings) as server:
        stub = text_service_pb2_grpc.TextServiceStub(server.channel)
        pieces = [
            piece
            async for piece in stub.GenerateText(pb.GenerateTextRequest(prompt=PROMPT, model="mine", options=options))
        ]
    text = "".join(piece.text for piece in pieces)
    assert text == tokenizer.decode(expected[len(prompt) :])
    assert text
    assert pieces[-1].report.model == "mine"
    assert pieces[-1].usage.prompt_tokens == len(prompt)
