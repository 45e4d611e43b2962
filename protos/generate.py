"""Generate the Python contracts and the published descriptor set from the .proto files.

`make proto` writes them under `protos/python`; `python protos/generate.py --check` (in `make lint`) fails when they are
stale. protoc comes from grpcio-tools, typed stubs from mypy-protobuf.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
OUTPUT = PROTOS / "python"
# The public protocol's package is `inference`, so its import root is a folder of its own.
OPEN_INFERENCE = PROTOS / "open_inference"
PACKAGES = ("marquee", "inference")
DESCRIPTOR_SET = "marquee/descriptor_set.binpb"


def contracts_below(root: Path) -> list[Path]:
    """Return the .proto files of the packages that lie directly in an import root."""
    return [path for package in PACKAGES for path in (root / package).rglob("*.proto")]


def generate(output: Path) -> None:
    """Write every generated file below `output`; raises SystemExit when protoc refuses a contract."""
    contracts = [
        str(path.relative_to(root)) for root in (PROTOS, OPEN_INFERENCE) for path in sorted(contracts_below(root))
    ]
    for package in PACKAGES:
        (output / package).mkdir(parents=True, exist_ok=True)
    scripts = Path(sysconfig.get_path("scripts"))
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={OPEN_INFERENCE}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            f"--python_out={output}",
            f"--grpc_python_out={output}",
            f"--mypy_out=quiet:{output}",
            f"--mypy_grpc_out=quiet:{output}",
            f"--descriptor_set_out={output / DESCRIPTOR_SET}",
            "--include_imports",
            *contracts,
        ]
    )
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")
    for package in PACKAGES:
        (output / package / "py.typed").touch()


def relative_files(folder: Path) -> set[Path]:
    """Return the files below `folder`, relative to it, without caches."""
    files_below = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder) for path in files_below if "__pycache__" not in path.parts}


def stale_files(fresh: Path) -> list[Path]:
    """Return the committed files that differ from, lack or exceed the freshly generated ones."""
    common = relative_files(fresh) & relative_files(OUTPUT)
    changed = [path for path in common if not filecmp.cmp(fresh / path, OUTPUT / path, shallow=False)]
    return sorted(changed + list(relative_files(fresh) ^ relative_files(OUTPUT)))


def main() -> None:
    """Generate, or check with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the committed files are stale; write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        if arguments.check:
            stale = stale_files(fresh)
            if stale:
                sys.exit("stale generated contracts, run `make proto`:\n" + "\n".join(f"  {path}" for path in stale))
            return
        shutil.rmtree(OUTPUT, ignore_errors=True)
        shutil.copytree(fresh, OUTPUT)


if __name__ == "__main__":
    main()
