"""What is asked: serialised requests of each workload, and what the model answers in-process."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy
import numpy.typing
from PIL import Image
from tokenizers import Tokenizer

from inference import open_inference_pb2 as open_inference
from marquee.text.v1 import text_service_pb2 as text
from marquee.vision.v1 import vision_service_pb2 as vision
from services.vision.training.pictures import PICTURES
from tests.load.benchmark.models import BenchmarkModel, Tensors, digit_features, models

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
EMBED_TEXT = "/marquee.text.v1.TextService/EmbedText"
CLASSIFY_IMAGE = "/marquee.vision.v1.VisionService/ClassifyImage"

VARIANTS = 32
"""Different requests of a workload, so that no answer is remembered from the one before."""
JPEG_SIZE = (640, 480)
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Workload:
    """One kind of request.

    Attributes:
        name: short name, in tables and on the command line.
        title: words for the table.
        model: what answers.
        method: full RPC name.
        tensors: model inputs of each request, one row each; what a decoder makes of the request where it is no tensors.
        raw: what the request carries instead of tensors: a text or an encoded picture; empty for Open Inference.
    """

    name: str
    title: str
    model: BenchmarkModel
    method: str
    tensors: Sequence[Tensors]
    raw: Sequence[str | bytes] = field(default=())

    @property
    def is_open_inference(self) -> bool:
        """Whether any server can answer it, not ours alone."""
        return self.method == MODEL_INFER

    def requests(self, model_name: str | None = None) -> list[bytes]:
        """Return the serialised requests; a server may know the model by another name."""
        if self.is_open_inference:
            return [infer_request(model_name or self.model.name, one) for one in self.tensors]
        if self.method == EMBED_TEXT:
            return [text.EmbedTextRequest(texts=[str(one)]).SerializeToString() for one in self.raw]
        return [
            vision.ClassifyImageRequest(images=[vision.Image(content=one)]).SerializeToString()
            for one in self.raw
            if isinstance(one, bytes)
        ]


def infer_request(name: str, tensors: Tensors) -> bytes:
    """Return a serialised ModelInferRequest with raw contents."""
    datatypes = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8"}
    message = open_inference.ModelInferRequest(model_name=name)
    for key, value in tensors.items():
        message.inputs.add(name=key, datatype=datatypes[str(value.dtype)], shape=value.shape)
        message.raw_input_contents.append(value.tobytes())
    return message.SerializeToString()


def read_answer(workload: Workload, answer: bytes) -> numpy.typing.NDArray[numpy.float32]:
    """Return the numbers of a response that tell whether the right model answered: its first output, or what stands
    for it in a typed response.
    """
    if workload.method == EMBED_TEXT:
        return numpy.frombuffer(text.EmbedTextResponse.FromString(answer).vectors[0].values, "<f4")
    if workload.method == CLASSIFY_IMAGE:
        labels = vision.ClassifyImageResponse.FromString(answer).results[0].labels
        return numpy.array([one.probability for one in labels], numpy.float32)
    message = open_inference.ModelInferResponse.FromString(answer)
    first = workload.model.manifest["outputs"][0]["name"]
    index = next(number for number, output in enumerate(message.outputs) if output.name == first)
    if message.raw_output_contents:
        return numpy.frombuffer(message.raw_output_contents[index], "<f4")
    return numpy.array(message.outputs[index].contents.fp32_contents, numpy.float32)


def workloads(names: Sequence[str] | None = None) -> dict[str, Workload]:
    """Return the workloads by name, in the order of the tables."""
    known = models()
    builders: dict[str, Callable[[Mapping[str, BenchmarkModel]], Workload]] = {
        "trivial": _trivial,
        "forest": _forest,
        "minilm": _minilm,
        "minilm-text": lambda one: _minilm_text(one, "minilm-text", 16),
        "cnn": _cnn,
        "cnn-jpeg": _cnn_jpeg,
        "minilm-64": lambda one: _minilm_text(one, "minilm-64", 64),
    }
    return {name: build(known) for name, build in builders.items() if names is None or name in names}


def _trivial(known: Mapping[str, BenchmarkModel]) -> Workload:
    rows = numpy.random.default_rng(1).normal(size=(VARIANTS, 1, 16)).astype(numpy.float32)
    return Workload("trivial", "trivial, 16 floats", known["trivial"], MODEL_INFER, [{"values": row} for row in rows])


def _forest(known: Mapping[str, BenchmarkModel]) -> Workload:
    rows = digit_features()[:VARIANTS]
    title = "random forest, 200 trees, one row"
    return Workload("forest", title, known["forest"], MODEL_INFER, [{"features": row[None]} for row in rows])


def _minilm(known: Mapping[str, BenchmarkModel]) -> Workload:
    model = known["minilm"]
    inputs = [_token_tensors(model, one) for one in texts_of_length(model, 16)]
    return Workload("minilm", "MiniLM 8-bit, 16 tokens", model, MODEL_INFER, inputs)


def _minilm_text(known: Mapping[str, BenchmarkModel], name: str, tokens: int) -> Workload:
    model = known["minilm"]
    texts = texts_of_length(model, tokens)
    inputs = [_token_tensors(model, one) for one in texts]
    return Workload(name, f"MiniLM 8-bit, text of {tokens} tokens", model, EMBED_TEXT, inputs, texts)


def _cnn(known: Mapping[str, BenchmarkModel]) -> Workload:
    inputs = [{"pixels": numpy.asarray(one.resize((224, 224)), numpy.uint8)[None]} for one in _pictures()]
    return Workload("cnn", "EfficientNet-Lite0, raw pixels", known["cnn"], MODEL_INFER, inputs)


def _cnn_jpeg(known: Mapping[str, BenchmarkModel]) -> Workload:
    from services.vision.pipelines.image_decoding import decode_image  # noqa: PLC0415  (the decoder that is measured)

    files = [_encode(one) for one in _pictures()]
    inputs = [{"pixels": decode_image(one)[None]} for one in files]
    title = f"EfficientNet-Lite0, JPEG {JPEG_SIZE[0]} × {JPEG_SIZE[1]}"
    return Workload("cnn-jpeg", title, known["cnn"], CLASSIFY_IMAGE, inputs, files)


def _pictures() -> list[Image.Image]:
    files = sorted(PICTURES.glob("*.jpg"))
    whole = [Image.open(file).convert("RGB").resize(JPEG_SIZE, Image.Resampling.BICUBIC) for file in files]
    # Shifted copies: other pixels, the same amount of detail.
    return [_shifted(whole[number % len(whole)], 16 * (number // len(whole))) for number in range(VARIANTS)]


def _shifted(picture: Image.Image, pixels: int) -> Image.Image:
    return Image.fromarray(numpy.roll(numpy.asarray(picture), pixels, axis=1))


def _encode(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def texts_of_length(model: BenchmarkModel, tokens: int) -> list[str]:
    """Return texts of exactly that many tokens, the two that mark start and end included."""
    tokenizer = _tokenizer(model)
    words = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and 4 <= len(word) <= 9)
    random = numpy.random.default_rng(tokens)
    texts = [" ".join(random.choice(words, tokens - 2)) for _ in range(VARIANTS)]
    assert all(len(tokenizer.encode(one).ids) == tokens for one in texts)
    return texts


@lru_cache
def _tokenizer(model: BenchmarkModel) -> Any:
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer


def _token_tensors(model: BenchmarkModel, one: str) -> Tensors:
    encoding = _tokenizer(model).encode(one)
    return {
        "input_ids": numpy.array([encoding.ids], numpy.int64),
        "attention_mask": numpy.array([encoding.attention_mask], numpy.int64),
    }
