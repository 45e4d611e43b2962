"""What stays in an environment and what goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.images.recipe import trim

FILES = (
    "numpy/__init__.py", "numpy/tests/test_core.py", "numpy/f2py/__init__.py", "numpy/__init__.pyi", "pip/__init__.py",
    "onnxruntime/capi/libonnxruntime.so.1.2.3", "onnxruntime/capi/onnxruntime_pybind11_state.so",
    "services/__init__.py", "services/runtime/engine.py", "services/runtime/training/rebuild.py",
    "services/text/main.py", "services/text/training/fit.py", "services/cli/main.py", "marquee_client/client.py",
)  # fmt: skip


def files_after(tmp_path: Path, component: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setattr(trim, "strip", lambda _packages: None)
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in FILES:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    trim.main(tmp_path, component)
    return {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}


def test_a_service_keeps_itself_and_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files_after(tmp_path, "text", monkeypatch) == {
        "numpy/__init__.py", "onnxruntime/capi/onnxruntime_pybind11_state.so",
        "services/__init__.py", "services/runtime/engine.py", "services/text/main.py",
    }  # fmt: skip


def test_the_trainer_keeps_the_command_and_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = files_after(tmp_path, "trainer", monkeypatch)
    assert {"services/cli/main.py", "services/text/training/fit.py", "services/runtime/training/rebuild.py"} <= kept
    assert "marquee_client/client.py" in kept
