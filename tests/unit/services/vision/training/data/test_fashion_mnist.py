"""Fashion-MNIST is taken as published or not at all."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from services.runtime.sources import SourceUnavailable
from services.vision.training.data import fashion_mnist


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tiny pictures in the place of an installed package."""
    pixels = np.arange(2 * 28 * 28, dtype=np.uint32).astype(np.uint8)
    contents = {"images-idx3": bytes(16) + pixels.tobytes(), "labels-idx1": bytes(8) + bytes([3, 9])}
    checksums = {}
    for name in fashion_mnist.SHA256:
        content = next(value for kind, value in contents.items() if kind in name)
        packed = gzip.compress(content, mtime=0)
        (tmp_path / name).write_bytes(packed)
        checksums[name] = hashlib.sha256(packed).hexdigest()
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path)
    monkeypatch.setattr(fashion_mnist, "SHA256", checksums)
    return tmp_path


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_pictures_and_classes_are_read_in_their_order(installed: Path, part: str) -> None:
    pixels, classes = fashion_mnist.load_fashion_mnist(part)

    assert pixels.shape == (2, 28, 28, 1)
    assert pixels[0, 0, :3, 0].tolist() == [0, 1, 2]
    assert classes.tolist() == [3, 9]


def test_a_changed_file_is_refused(installed: Path) -> None:
    path = installed / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(8) + bytes([1, 1])))

    with pytest.raises(SourceUnavailable, match="SHA-256"):
        fashion_mnist.load_fashion_mnist("t10k")


def test_a_missing_command_says_what_to_do(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (installed / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("MARQUEE_DATA_DIRECTORY", str(tmp_path_factory.mktemp("data")))

    with pytest.raises(SourceUnavailable, match="there is no apt-get here; unpack the package"):
        fashion_mnist.load_fashion_mnist("t10k")
