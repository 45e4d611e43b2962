"""Build Marquee's images: `make images ARGS="classical --tag x"`.

Without names all five are built. Each is tagged marquee-<component>:<version>, with -gpu for a GPU and -no-video
without the video decoder, whose codecs not everyone may ship.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.images.engine import CACHE, REPOSITORY, Engine, EngineFailed, NoEngine, find_engine
from deploy.images.wheels import FetchFailed, fetch

IMAGES = Path(__file__).resolve().parent
LOCKS = REPOSITORY / "deploy" / "locks"
CONTAINERFILE = IMAGES / "Containerfile"
PORTS = {"orchestrator": 50060, "text": 50061, "vision": 50062, "classical": 50063, "trainer": 0}
COMPONENTS = tuple(PORTS)
FAMILIES = ("text", "vision", "classical")
ON_GPU = ("text", "vision")
DEBOOTSTRAP = "localhost/marquee-base:bookworm"
NAMES = "localhost/marquee"
PROCESSORS = {"arm64": "aarch64", "AMD64": "x86_64"}


@dataclass(frozen=True)
class Image:
    """One image that can be built."""

    component: str
    gpu: bool = False
    video: bool = True
    models: bool = True

    @property
    def lock(self) -> str:
        """The environment's lock, without its ending."""
        if self.component not in FAMILIES:
            return self.component
        video = "-video" if self.component == "vision" and self.video else ""
        return f"{self.component}{video}-{'gpu' if self.on_gpu else 'cpu'}"

    @property
    def on_gpu(self) -> bool:
        """Whether there is a variant for a GPU, and it is wanted."""
        return self.gpu and self.component in ON_GPU

    def name(self, repository: str, tag: str) -> str:
        """Return the image's full name."""
        suffix = "-gpu" if self.on_gpu else ""
        suffix += "-no-video" if self.component == "vision" and not self.video else ""
        suffix += "-without-models" if self.component in FAMILIES and not self.models else ""
        return f"{repository}/marquee-{self.component}:{tag}{suffix}"

    def arguments(self, base: str | None, name: str, version: str, revision: str) -> list[str]:
        """Return the arguments of the engine's `build`."""
        values = {
            "COMPONENT": self.component, "LOCK": self.lock, "SETTINGS": f"MARQUEE_{self.component.upper()}",
            "PORT": str(PORTS[self.component] or 9464), "VERSION": version, "REVISION": revision,
        }  # fmt: skip
        if base is not None:
            values["PYTHON_IMAGE"] = base
        target = "with-models" if self.component in FAMILIES and self.models else "without-models"
        arguments = [f"--file={CONTAINERFILE.relative_to(REPOSITORY)}", f"--target={target}", f"--tag={name}"]
        return [*arguments, *(f"--build-arg={key}={value}" for key, value in values.items()), "."]


def project_version() -> str:
    """Return the version in pyproject.toml."""
    return str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])


def revision() -> str:
    """Return the commit, with a mark when the folder differs from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"], cwd=REPOSITORY, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def public_base() -> str:
    """Return the base image that the Containerfile names."""
    first = next(line for line in CONTAINERFILE.read_text().splitlines() if line.startswith("ARG PYTHON_IMAGE="))
    return first.partition("=")[2]


def choose_base(engine: Engine, wanted: str) -> str:
    """Return the base image to build on.

    Args:
        engine: where it must be.
        wanted: `auto`, `public`, `debootstrap`, or an image's name.

    Raises:
        EngineFailed: it cannot be had; the text says what to do.
    """
    if wanted == "debootstrap":
        if not engine.has_image(DEBOOTSTRAP):
            raise EngineFailed(f"{DEBOOTSTRAP} is not there: make it with `make base-image`")
        return DEBOOTSTRAP
    public = public_base()
    if wanted not in ("auto", "public"):
        return wanted
    if engine.has_image(public):
        return public
    try:
        engine.call("pull", "--quiet", public, timeout=600)
    except EngineFailed as error:
        if wanted == "auto" and engine.has_image(DEBOOTSTRAP):
            return DEBOOTSTRAP
        raise EngineFailed(
            f"the base image cannot be pulled: {str(error).splitlines()[-1][-300:]}\n"
            "Make one from Debian's packages with `make base-image` and try again, or name one that has Python 3.11: "
            "BASE_IMAGE=registry.example/python:3.11-slim"
        ) from error
    return public


def machine() -> str:
    """Return the processor that images are built for, as wheels name it."""
    return PROCESSORS.get(platform.machine(), platform.machine())


def wanted_images(arguments: argparse.Namespace) -> Iterator[Image]:
    """Yield the images that the command line asks for."""
    for component in arguments.components or COMPONENTS:
        if arguments.gpu and component not in ON_GPU and arguments.components:
            sys.exit(f"{component} has no variant for a GPU; these have one: {', '.join(ON_GPU)}")
        if not arguments.gpu or component in ON_GPU:
            yield Image(component, arguments.gpu, not arguments.no_video, not arguments.without_models)


def build(engine: Engine, image: Image, base: str, arguments: argparse.Namespace) -> str:
    """Build one image with progress on the terminal, write its bill of materials, and return its name."""
    name = image.name(arguments.repository, arguments.tag)
    started = time.monotonic()
    say(f"{name} from {base}")
    if not arguments.no_fetch:
        for lock in (
            IMAGES / "tools.txt",
            LOCKS / f"{image.lock}.txt",
            *([IMAGES / "cuda.txt"] if image.on_gpu else []),
        ):
            say(f"  fetching the wheels of {lock.name}")
            fetch(lock, machine())
    log = CACHE / f"{name.rpartition('/')[2].replace(':', '-')}.log"
    for line in engine.build(image.arguments(base, name, project_version(), revision()), log):
        if "STEP " in line[:12] or " [" in line[:8]:
            say(f"  {line[:110]}")
    bill = REPOSITORY / "dist" / "images" / f"{name.rpartition('/')[2].replace(':', '-')}.sbom.json"
    bill.parent.mkdir(parents=True, exist_ok=True)
    bill.write_text(engine.read_file(name, "/opt/marquee/sbom.json") + "\n")
    size, seconds = engine.image(name)["Size"] / 1e6, time.monotonic() - started
    say(f"  {size:.0f} MB in {seconds:.0f} s; bill of materials in {bill.relative_to(REPOSITORY)}")
    return name


def models_bytes(component: str) -> int:
    """Return the size of the models that a family's image has."""
    folder = REPOSITORY / "services" / component / "models"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0


def report(engine: Engine, images: Iterable[Image], repository: str, tag: str) -> None:
    """Print a table of sizes, as unpacked on a node and as pulled from a registry."""
    say("| image | without models MB | with models MB | as pulled (gzip) MB |\n|---|---|---|---|")
    for image in images:
        name = image.name(repository, tag)
        if not engine.has_image(name):
            continue
        size, models = engine.image(name)["Size"], models_bytes(image.component) if image.models else 0
        packed = subprocess.run(
            ["bash", "-c", '"$0" save "$1" | gzip -c | wc -c', engine.program, name], env=engine.variables(),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        title = name.rpartition("/")[2]
        with_models = f"{size / 1e6:.0f}" if models else "–"
        say(f"| {title} | {(size - models) / 1e6:.0f} | {with_models} | {int(packed.stdout) / 1e6:.0f} |")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="make images", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "components", nargs="*", choices=[*COMPONENTS, []], metavar="component", help=", ".join(COMPONENTS)
    )
    made.add_argument("--tag", default=project_version(), help="tag of the images (default: the version, %(default)s)")
    made.add_argument("--repository", default=NAMES, help="what stands before the name (default: %(default)s)")
    made.add_argument("--gpu", action="store_true", help="the variants of text and vision for CUDA 13")
    made.add_argument("--no-video", action="store_true", help="vision without the video decoder")
    made.add_argument("--without-models", action="store_true", help="leave the models out; mount them at /models")
    made.add_argument(
        "--base", default=os.environ.get("BASE_IMAGE") or "auto",
        help="auto, public, debootstrap, or an image with Python 3.11 (default: BASE_IMAGE, else auto: the public one, "
        "and where that cannot be pulled the one of `make base-image`)",
    )  # fmt: skip
    made.add_argument("--engine", choices=["docker", "podman"], help="default: the first that answers")
    made.add_argument("--no-fetch", action="store_true", help="let the builder take packages from the index itself")
    made.add_argument("--base-image", action="store_true", help="make a base image from Debian's packages, and end")
    made.add_argument("--report", action="store_true", help="print the sizes of what was built, and end")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    arguments = parser().parse_args(words)
    try:
        engine = find_engine(arguments.engine)
        if arguments.base_image:
            command = [str(IMAGES / "base.sh"), engine.program, DEBOOTSTRAP]
            sys.exit(subprocess.run(command, env=engine.variables(), check=False).returncode)
        images = list(wanted_images(arguments))
        if arguments.report:
            report(engine, images, arguments.repository, arguments.tag)
            return
        base = choose_base(engine, arguments.base)
        for image in images:
            build(engine, image, base, arguments)
    except (NoEngine, EngineFailed, FetchFailed) as error:
        sys.exit(f"make images: {error}")


if __name__ == "__main__":
    main()
