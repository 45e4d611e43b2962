"""The images that the tests run. Run as a program, it builds those that are missing (`make container-test` does)."""

from __future__ import annotations

import sys

from deploy.images.build import COMPONENTS, DEBOOTSTRAP, NAMES, Image, choose_base, main, project_version
from deploy.images.engine import Engine, EngineFailed, NoEngine, find_engine


def missing_images(engine: Engine) -> list[str]:
    """Return the components whose image of this version the engine does not have."""
    tag = project_version()
    return [name for name in COMPONENTS if not engine.has_image(Image(name).name(NAMES, tag))]


def build_missing() -> None:
    """Build what is missing, on a base image made from Debian's packages where the public one cannot be pulled."""
    engine = find_engine()
    missing = missing_images(engine)
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
