"""ONNX Runtime's own reports of use stay off, whichever of our modules loads it first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dummy_model import write_model

SERVING = """
import sys
from pathlib import Path
from services.runtime.engine import CPU, OnnxModel
OnnxModel(Path(sys.argv[1]), CPU)
"""
FITTING = """
import sys
from services.classical.training import parity
parity.onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""


@pytest.mark.parametrize("program", [SERVING, FITTING], ids=["serving", "fitting"])
def test_a_process_leaves_no_identifier_of_the_machine(program: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "models") / "model.onnx"
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    ran = subprocess.run(
        [sys.executable, "-c", program, str(model)], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert list(home.rglob("*")) == []
