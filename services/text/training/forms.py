"""Which 8-bit form of MiniLM serves best: file size, parity, neighbours, speed, load time, memory of each.

`python -m services.text.training.forms` prints the table that is in the model's card. Speeds are texts a second of CPU
time on one thread; they differ between machines and with other load, their ratios hardly.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from services.runtime.training.publish import cpu_session
from services.text.training.bert_reference import reference_vectors
from services.text.training.corpus import calibration_texts, held_out_texts, load_corpus
from services.text.training.minilm import encoder_of, export, load_original, quantise
from services.text.training.parity import feeds, measure_parity
from services.text.training.quantized_graph import Linear, Replacement, rewrite_linears, round_table, stored_as_int8

TABLE = "token_table.weight"
LOADS = ((1, 16), (1, 64), (32, 16), (32, 64))
SECONDS_A_LOAD = 2.0


def main() -> None:
    """Prints one line for each form."""
    logging.disable(logging.WARNING)  # the quantisers report every node they see
    original, corpus = load_original(), load_corpus()
    texts = original.encode(held_out_texts(corpus))
    reference = reference_vectors(original.tensors, texts)
    with tempfile.TemporaryDirectory(prefix="marquee-forms-") as folder:
        for name, model in _forms(Path(folder)):
            path = Path(folder) / "form.onnx"
            onnx.save(model, path)
            parity = measure_parity(path.read_bytes(), texts, reference)
            # A process of its own, so that memory is the form's and not that of those before it.
            command = [sys.executable, "-c", f"from services.text.training import forms; forms.probe({str(path)!r})"]
            cost = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            speeds = " ".join(f"{speed:5.0f}" for speed in cost["speeds"])
            print(
                f"{name:28s} {path.stat().st_size / 1e6:5.1f} MB"
                f"  cosine {parity.least_cosine:.4f} {parity.mean_cosine:.4f}"
                f"  neighbours {parity.neighbour_cosine:.5f}  texts/s {speeds}"
                f"  load {cost['load']:.2f} s  memory {cost['memory']:.0f} MB",
                flush=True,
            )


def _forms(folder: Path) -> list[tuple[str, onnx.ModelProto]]:
    original, corpus = load_original(), load_corpus()
    encoder = encoder_of(original)
    exported = export(encoder, "sentence_vectors", ["vectors"])
    plain = rewrite_linears(exported, _as_product)
    onnx.save(plain, folder / "plain.onnx")
    options = {"MatMulConstBOnly": True}
    quantize_dynamic(
        folder / "plain.onnx",
        folder / "dynamic.onnx",
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options=options,
    )
    blocks = MatMulNBitsQuantizer(plain, bits=8, block_size=128, is_symmetric=True, accuracy_level=4)
    blocks.process()
    return [
        ("float32", exported),
        ("(a) weight-only int8", round_table(rewrite_linears(exported, stored_as_int8), TABLE)),
        ("(b) dynamic int8", round_table(onnx.load(folder / "dynamic.onnx"), TABLE)),
        ("(c) MatMulNBits 8 bit", round_table(blocks.model.model, TABLE)),
        ("(d) served", quantise(exported, encoder, original.encode(calibration_texts(corpus)))),
    ]


def probe(path: str) -> None:
    """Prints load seconds, resident megabytes that loading and running added, and texts a second, as JSON."""
    process = psutil.Process()
    before, start = process.memory_info().rss, time.perf_counter()
    session = cpu_session(Path(path).read_bytes())
    load = time.perf_counter() - start
    speeds = []
    for batch, tokens in LOADS:
        ids = np.random.default_rng(0).integers(1999, 30522, size=(batch, tokens)).tolist()
        inputs = feeds(ids)
        session.run(None, inputs)
        durations: list[float] = []
        start = time.perf_counter()
        while time.perf_counter() - start < SECONDS_A_LOAD or len(durations) < 5:
            began = time.process_time()
            session.run(None, inputs)
            durations.append(time.process_time() - began)
        speeds.append(batch / float(np.median(durations)))
    print(json.dumps({"load": load, "memory": (process.memory_info().rss - before) / 1e6, "speeds": speeds}))


def _as_product(linear: Linear) -> Replacement:
    """The form that ONNX Runtime's own quantisers look for."""
    new = Replacement(linear.name)
    product = new.node("MatMul", [linear.input, new.constant("matrix", linear.weight.T)], "product")
    new.node("Add", [product, new.constant("vector", linear.bias)], "sum", linear.output)
    return new


if __name__ == "__main__":
    main()
