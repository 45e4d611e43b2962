"""Resolve the exact versions of every environment from pyproject.toml, or check that they still fit.

`make locks` writes one file an environment next to this script; `--check` (in `make lint`) needs no network.
`test.txt` is the largest and is resolved first; all others take its versions, so that a package has one
version everywhere. The servers that Marquee is benchmarked against and the checks of the Helm chart stand alone: they
pin packages of other versions than ours, name what they need in `<name>.in`, and live in environments of their own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = Path(__file__).resolve().parent
REPOSITORY = LOCKS.parents[1]
OLDEST_PYTHON = "3.11"

SERVICES = ("text", "vision", "classical", "orchestrator")
DEMO = (*SERVICES, "video", "gameplay", "cli", "fit", "load", "cpu", "build")


@dataclass(frozen=True)
class Lock:
    """One environment: its file, the extras that it installs, and whether every file in it has a checksum."""

    name: str
    extras: tuple[str, ...]
    hashes: bool = True

    @property
    def source(self) -> str:
        """What is resolved: our own project, or for an environment without extras its list of requirements."""
        return "pyproject.toml" if self.extras else f"deploy/locks/{self.name}.in"


# The first one decides the versions of the others.
LOCK_FILES = (
    Lock("test", (*DEMO, "parquet", "locust", "native", "cluster", "test", "lint")),
    Lock("demo", DEMO),
    Lock("text-cpu", ("text", "cpu")),
    Lock("text-gpu", ("text", "gpu")),
    # Each with and without the video decoder, whose codecs not everyone may ship.
    Lock("vision-cpu", ("vision", "cpu")),
    Lock("vision-video-cpu", ("vision", "video", "cpu")),
    Lock("vision-gpu", ("vision", "gpu")),
    Lock("vision-video-gpu", ("vision", "video", "gpu")),
    Lock("classical-cpu", ("classical", "cpu")),
    Lock("orchestrator", ("orchestrator",)),
    # Fits bundles in a Job of the cluster.
    Lock("trainer", ("cli", "fit", "parquet", "cpu")),
    # torch of one version comes in several builds (CPU, one for each CUDA) with different files and different
    # dependencies, and the package index decides which: exact versions are all that holds everywhere.
    Lock(
        "training",
        ("text", "vision", "video", "gameplay", "classical", "cli", "fit", "cpu", "training", "build"),
        hashes=False,
    ),
)
# Servers to compare with and the checks of the Helm chart, each with its own versions of everything.
PEER_LOCK_FILES = (Lock("bench-triton", ()), Lock("bench-mlserver", ()), Lock("chart", ()))

# Never together, or never outside the training environment.
EXCLUSIVE = ("onnxruntime", "onnxruntime-gpu")
TRAINING_ONLY = ("torch", "transformers")
# What torch's CUDA builds bring along; the build that is installed names its own.
CUDA_COMPANIONS = re.compile(r"(nvidia|cuda)-|triton==")

Pins = Mapping[str, set[Version]]

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def _read_project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def declared_requirements(extras: Iterable[str]) -> Iterator[Requirement]:
    """Yield what both distributions declare for an environment with these extras, without themselves."""
    services, client = _read_project(REPOSITORY), _read_project(REPOSITORY / "services" / "client")
    lines = [*services["dependencies"], *client["dependencies"]]
    for extra in extras:
        lines += services["optional-dependencies"][extra]
    own = {canonicalize_name(services["name"]), canonicalize_name(client["name"])}
    requirements = [Requirement(line) for line in lines]
    return (requirement for requirement in requirements if canonicalize_name(requirement.name) not in own)


def _listed_requirements(path: Path) -> Iterator[Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return (Requirement(line) for line in lines if line)


def read_pins(text: str) -> Pins:
    """Return package name -> versions of a lock's text: one, or one for each range of Python versions."""
    pins: dict[str, set[Version]] = {}
    for match in _PIN.finditer(text):
        pins.setdefault(canonicalize_name(match["name"]), set()).add(Version(match["version"]))
    return pins


def compile_lock(lock: Lock, constraints: Path | None, upgrade: bool) -> None:
    """Resolve one lock file with uv, for every platform and every Python from the oldest supported one on.

    Versions already in the file are kept where they still fit, unless `upgrade`.
    """
    target = LOCKS / f"{lock.name}.txt"
    command = [sys.executable, "-m", "uv", "pip", "compile", lock.source, "--quiet", "--no-header"]
    command += ["--universal", f"--python-version={OLDEST_PYTHON}"]
    command += ["--no-emit-package=marquee-client", "--annotation-style=line"]
    command += [f"--extra={extra}" for extra in lock.extras]
    command += ["--generate-hashes"] if lock.hashes else []
    command += ["--upgrade"] if upgrade else []
    command += ["--constraints", str(constraints)] if constraints is not None else []
    with tempfile.TemporaryDirectory() as scratch:
        resolved = Path(scratch) / target.name
        if target.exists():
            resolved.write_text(target.read_text())
        subprocess.run([*command, f"--output-file={resolved}"], cwd=REPOSITORY, check=True)
        text = resolved.read_text()
    lines = _without_companions(text.splitlines()) if lock.extras else _without_comments(text.splitlines())
    target.write_text(_header(lock) + "\n".join(lines) + "\n")


def _header(lock: Lock) -> str:
    lines = [
        f"# Environment `{lock.name}`: {', '.join(lock.extras) or 'see ' + Path(lock.source).name}.",
        "# Written by `make locks`; do not edit.",
    ]
    if not lock.hashes:
        lines += ["# No hashes: the builds of torch differ between package indexes, see compile.py."]
    return "\n".join(lines) + "\n"


def _without_companions(lines: Iterable[str]) -> Iterator[str]:
    """Leave out torch's CUDA companions, an earlier header, and constraint files named as a reason."""
    kept = True
    for line in lines:
        if not line.startswith((" ", "#")):
            kept = CUDA_COMPANIONS.match(line) is None
        if kept and not line.startswith("#"):
            yield re.sub(r", -c \S+|-c \S+, ", "", line)


def _without_comments(lines: Iterable[str]) -> Iterator[str]:
    return (line for line in lines if not line.startswith("#"))


def lock_problems() -> Iterator[str]:
    """Yield what is wrong with the committed locks: misfits, disagreements, what must not be there."""
    pins: dict[str, Pins] = {}
    for lock in (*LOCK_FILES, *PEER_LOCK_FILES):
        path = LOCKS / f"{lock.name}.txt"
        if not path.exists():
            yield f"{path.name}: missing"
            continue
        text = path.read_text()
        pins[lock.name] = read_pins(text)
        yield from (f"{path.name}: {problem}" for problem in _text_problems(lock, text))
        yield from (f"{path.name}: {problem}" for problem in _requirement_problems(lock, pins[lock.name]))
    yield from _disagreements({lock.name: pins[lock.name] for lock in LOCK_FILES if lock.name in pins})


def _text_problems(lock: Lock, text: str) -> Iterator[str]:
    if re.search(r"https?:|file:|--(extra-)?index-url|--find-links|(?<!\w)/[a-z]+/", text):
        yield "names an address or a path of one machine"
    if not text.startswith(_header(lock)):
        yield "was made for other extras"
    if lock.hashes and (unhashed := re.findall(r"^([^\s#]+).*[^\\]$(?!\n +--hash)", text, re.MULTILINE)):
        yield f"has no hashes for {', '.join(unhashed)}"


def _requirement_problems(lock: Lock, pins: Pins) -> Iterator[str]:
    declared = declared_requirements(lock.extras) if lock.extras else _listed_requirements(REPOSITORY / lock.source)
    for requirement in declared:
        versions = pins.get(canonicalize_name(requirement.name), set())
        if not versions:
            yield f"lacks {requirement}"
        for version in versions:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"pins {requirement.name} {version}, pyproject.toml wants {requirement}"
    if set(EXCLUSIVE) <= pins.keys():
        yield f"has both {' and '.join(EXCLUSIVE)}, which own the same module"
    if "training" not in lock.extras and (found := pins.keys() & set(TRAINING_ONLY)):
        yield f"has {', '.join(sorted(found))}, which belong to the training environment only"


def _disagreements(pins: Mapping[str, Pins]) -> Iterator[str]:
    for package in sorted({package for lock in pins.values() for package in lock}):
        found = {name: " and ".join(map(str, sorted(lock[package]))) for name, lock in pins.items() if package in lock}
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{name}.txt has {version}" for name, version in found.items())
            yield f"{package} differs: {listed}"


def main() -> None:
    """Resolve, or check with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a lock does not fit; no network")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    arguments = parser.parse_args()
    if not arguments.check:
        shared: Path | None = None
        for lock in LOCK_FILES:
            compile_lock(lock, shared, arguments.upgrade)
            shared = shared or (LOCKS / f"{lock.name}.txt").relative_to(REPOSITORY)
        for lock in PEER_LOCK_FILES:
            compile_lock(lock, None, arguments.upgrade)
    problems = list(lock_problems())
    if problems:
        sys.exit("the locks do not fit, run `make locks`:\n  " + "\n  ".join(problems))


if __name__ == "__main__":
    main()
