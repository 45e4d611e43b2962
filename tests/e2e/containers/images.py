"""The images that the tests run. Run as a program, it builds those that are missing or made from other sources
(`make container-test` does).
"""

from __future__ import annotations

import subprocess
import sys

from deploy.images.build import COMPONENTS, DEBOOTSTRAP, NAMES, Image, choose_base, main, project_version
from deploy.images.engine import REPOSITORY, Engine, EngineFailed, NoEngine, find_engine

SOURCES = ("services", "protos/python", "pyproject.toml", "deploy/locks", "deploy/images")
"""What images are made from."""


def missing_images(engine: Engine) -> list[str]:
    """Return the components whose image of this version the engine does not have."""
    tag = project_version()
    return [name for name in COMPONENTS if not engine.has_image(Image(name).name(NAMES, tag))]


def stale_images(engine: Engine) -> list[str]:
    """Return the components whose image was not made from the sources as they are now."""
    tag = project_version()
    return [name for name in COMPONENTS if _is_stale(engine, Image(name).name(NAMES, tag))]


def _is_stale(engine: Engine, image: str) -> bool:
    if not engine.has_image(image):
        return False
    revision = (engine.image(image)["Config"].get("Labels") or {}).get("org.opencontainers.image.revision", "unknown")
    # A commit that is not known here, and a folder that differed from its commit, are no revision that git can compare.
    compared = subprocess.run(
        ["git", "diff", "--quiet", revision, "--", *SOURCES], cwd=REPOSITORY, capture_output=True, check=False
    )
    return compared.returncode != 0


def build_missing() -> None:
    """Build what is missing or stale, on a base image made from Debian's packages where the public one cannot be
    pulled.
    """
    engine = find_engine()
    stale = stale_images(engine)
    if stale:
        sys.stdout.write(f"Made from other sources, built again: {', '.join(stale)}\n")
    missing = [*missing_images(engine), *stale]
    if not missing:
        return
    try:
        choose_base(engine, "auto")
    except EngineFailed:
        sys.stdout.write(f"The public base image cannot be pulled; making {DEBOOTSTRAP}\n")
        try:
            main(["--base-image"])
        except SystemExit as ended:
            if ended.code:
                raise
    main(missing)


if __name__ == "__main__":
    try:
        build_missing()
    except NoEngine as error:
        sys.exit(str(error))
