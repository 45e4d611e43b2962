"""Writes `toxicity-svm` into the model repository: `python -m services.classical.training.toxicity`."""

from __future__ import annotations

from pathlib import Path

from services.classical.training.toxicity.version import publish

if __name__ == "__main__":
    print(publish(Path(__file__).resolve().parents[2] / "models"))
