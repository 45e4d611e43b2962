"""Check that every library of an environment finds all others in the image: `libraries.py ENVIRONMENT SYSTEM`.

CUDA's libraries lie in packages of their own; the loader is told where. Only the driver's are not in an image: the
node brings them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

DRIVER = ("libcuda.so", "libnvidia-ml.so")
# TensorRT is an engine that we do not ship.
OPTIONAL = ("libnvinfer", "libnvonnxparser", "libonnxruntime_providers_tensorrt")


def list_cuda(packages: Path, system: Path) -> None:
    """Let the loader find CUDA's libraries: in its list, which is made again when a node adds its driver, and now."""
    folders = sorted({str(library.parent) for library in packages.glob("nvidia/**/lib/*.so*")})
    if not folders:
        return
    listing = system / "etc/ld.so.conf"
    listing.write_text(listing.read_text() + "".join(f"{folder}\n" for folder in folders))
    subprocess.run(["ldconfig", "-f", str(listing), "-C", str(system / "etc/ld.so.cache")], check=True)
    # So that the check below sees what a container will see.
    shutil.copyfile(system / "etc/ld.so.cache", "/etc/ld.so.cache")


def _within(system: Path, place: str) -> bool:
    return (system / Path(place).resolve().relative_to("/")).exists()


def missing(environment: Path, system: Path) -> list[str]:
    """Return a line for each library that is needed and neither in the environment nor in the system."""
    problems = []
    for module in environment.rglob("*.so*"):
        # Bundled libraries are found by the modules that load them, and checked with those.
        bundled = module.parent.name.endswith(".libs") or "/nvidia/" in str(module)
        if bundled or module.is_symlink() or module.name.startswith(OPTIONAL):
            continue
        listed = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            name, _, found = line.strip().partition(" => ")
            place = found.partition(" ")[0]
            if found.startswith("not found") and not name.startswith(DRIVER):
                problems.append(f"{module.name} needs {name}, which is nowhere")
            elif place.startswith("/") and not (place.startswith(str(environment)) or _within(system, place)):
                problems.append(f"{module.name} needs {place}, which is not in the image")
    return problems


def main(environment: Path, system: Path) -> None:
    """Tell the loader, then check."""
    packages = next(environment.glob("lib/python3.*/site-packages"))
    list_cuda(packages, system)
    if problems := missing(environment, system):
        sys.exit("\n".join(sorted(set(problems))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
