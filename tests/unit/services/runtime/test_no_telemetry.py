"""ONNX Runtime's own reports of use stay off wherever the runtime is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.dummy_model import write_model

PROGRAM = """
import sys
from pathlib import Path
from services.runtime.engine import CPU, OnnxModel
OnnxModel(Path(sys.argv[1]), CPU)
"""


def test_a_service_leaves_no_identifier_of_the_machine(tmp_path: Path) -> None:
    model = write_model(tmp_path / "models") / "model.onnx"
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model)], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert list(home.rglob("*")) == []
