"""Every command and program of the README's quick start runs, in order, in one shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_quick_start_runs(data_directory: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [language for language, _ in blocks].count("bash") >= 3
    script = ["set -euo pipefail", "set -m", "trap 'kill %1 2>/dev/null || true' EXIT"]
    for language, code in blocks:
        script.append(code if language == "bash" else f".venv/bin/python - <<'PYTHON'\n{code}PYTHON")
    (tmp_path / "sources").symlink_to((data_directory / "sources").resolve())
    environment = {**os.environ, "MARQUEE_DATA_DIRECTORY": str(tmp_path), "COLUMNS": "160"}
    assert shutil.which("make"), "the README's first command is make"
    finished = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert finished.returncode == 0, f"{finished.stdout[-8000:]}\n{finished.stderr[-4000:]}"
    assert "whole" in finished.stdout
    assert "no item 'no-such-item'" in finished.stdout
