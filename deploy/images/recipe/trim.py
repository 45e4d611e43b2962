"""Take away from an environment what its component never uses: tests, headers, tools, symbols, other components.

`trim.py ENVIRONMENT COMPONENT` runs in the builder; the environment is started afterwards, which shows a cut too deep.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

# Relative to site-packages.
UNWANTED = (
    "**/tests", "**/test", "**/*.pyi", "**/*.pxd", "**/*.pyx", "**/*.h", "**/*.hpp", "**/*.c", "**/*.cpp", "**/*.a",
    "**/__pycache__", "pip", "pip-*", "setuptools", "setuptools-*",
    # Where in the builder our own wheels lay.
    "marquee*.dist-info/direct_url.json",
    "numpy/distutils", "numpy/_pyinstaller", "numpy/_core/include",
    "numpy/_core/_simd*.so", "numpy/_core/*_tests*.so",
    # Exporters and quantisation: tools of the training environment.
    "onnxruntime/transformers", "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/datasets",
    # Pillow's text, colour profiles, windows, and most formats. The vision service decodes JPEG, PNG and WebP.
    "PIL/[!BGJMPTW]*ImagePlugin.py", "PIL/ImageFont.py", "PIL/ImageTk.py", "PIL/ImageCms.py",
    "PIL/_avif*", "PIL/_imagingcms*", "PIL/_imagingft*", "PIL/_imagingtk*", "PIL/_imagingmath*", "PIL/_imagingmorph*",
    "pillow.libs/libavif*", "pillow.libs/libfreetype*", "pillow.libs/libharfbuzz*", "pillow.libs/liblcms2*",
    "pillow.libs/libbrotli*", "pillow.libs/libpng*",
    # A second copy of the engine, for programs in C. Python's module has the engine inside.
    "onnxruntime/capi/libonnxruntime.so*",
    "pyarrow/include", "pyarrow/src", "implicit/gpu/*.so", "faiss/contrib",
    # Contracts of Google's own services; ours use google.rpc.
    "google/api", "google/cloud", "google/gapic", "google/logging", "google/longrunning", "google/type",
)  # fmt: skip
# SciPy, which only the trainer has, imports everything that NumPy names.
UNWANTED_WITHOUT_SCIPY = ("numpy/f2py",)
# What lies below services/ in an image besides the component itself.
ALWAYS = {"runtime"}
TRAINER = {"classical", "cli", "orchestrator", "runtime", "text", "vision"}


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def trim_services(packages: Path, component: str) -> None:
    """Leave the component, what it imports, and no training room unless it trains."""
    services = packages / "services"
    kept = TRAINER if component == "trainer" else ALWAYS | {component}
    for folder in services.iterdir():
        if folder.is_dir() and folder.name not in kept:
            remove(folder)
    if component != "trainer":
        for folder in services.glob("*/training"):
            remove(folder)
        remove(packages / "marquee_client")
        remove(packages.parents[2] / "bin" / "marquee")


def strip(packages: Path) -> None:
    """Take the symbols out of extension modules.

    Libraries that were bundled with them stay as they came: `strip` breaks the pages of those that were edited to be
    bundled.
    """
    modules = [
        path for path in packages.rglob("*.so") if not path.is_symlink() and not path.parent.name.endswith(".libs")
    ]
    modules = [path for path in modules if "nvidia" not in path.parts]
    subprocess.run(["strip", "--strip-unneeded", *map(str, modules)], check=True)


def main(environment: Path, component: str) -> None:
    """Trim the environment."""
    packages = next(environment.glob("lib/python3.*/site-packages"))
    for pattern in (*UNWANTED, *(() if (packages / "scipy").exists() else UNWANTED_WITHOUT_SCIPY)):
        for path in list(packages.glob(pattern)):
            remove(path)
    trim_services(packages, component)
    for script in ("activate", "activate.csh", "activate.fish", "Activate.ps1"):
        remove(environment / "bin" / script)
    strip(packages)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
